"""Prompt lookup decoding: what followed the last few tokens where they stood before is likely to follow again.

Extraction, rewriting and edits of code repeat their source. A draft of the next tokens is computed in one pass with the
token drawn last, and each of them counts only where the sampler draws it too, from its own row of logits: the answer is
what it would have been. (A. Saxena, Prompt Lookup Decoding, 2023; ``prompt_lookup_num_tokens`` of transformers.)
"""

from __future__ import annotations

from collections.abc import Sequence

from qwen_app.engine.local.compute.prefill_budget import smoothed

MATCHED_TOKENS = 3
FIRST_DRAFT_TOKENS = 3
TILE_ROWS = 4  # what a CPU multiplies at once at least: fewer take as long
LONGEST_ROWS = 16  # a card reads weights of 4 and 8 bits once for so many
DRAFTED_ANSWERS = 2  # with more at once a step has enough to do
WORTH_DOUBLING = 1.6  # times the cost: four rows more bring so much where seven guesses in eight come true
REMEMBERED_STEPS = 256  # with drafts; then longer ones are tried again: the machine may have been busy
FIRST_REST_STEPS = 8
LONGEST_REST_STEPS = 512


class PromptLookup:
    """Where each run of three tokens of one prompt and answer stood last. Takes its memory with the first draft."""

    def __init__(self) -> None:
        self._ends: dict[tuple[int, ...], int] = {}
        self._indexed = MATCHED_TOKENS
        self._length = FIRST_DRAFT_TOKENS

    def draft(
        self, token_ids: Sequence[int], limit_tokens: int, *, before: int = 1, longest_rows: int = LONGEST_ROWS
    ) -> list[int]:
        """What may follow ``token_ids``, which only grow from call to call; empty where nothing is known.

        With the ``before`` tokens that are computed with it, it fills whole tiles of rows, ``longest_rows`` at most.
        """
        if limit_tokens <= 0 or len(token_ids) < MATCHED_TOKENS:
            return []
        for end in range(self._indexed, len(token_ids)):
            self._ends[tuple(token_ids[end - MATCHED_TOKENS : end])] = end
        self._indexed = max(self._indexed, len(token_ids))
        start = self._ends.get(tuple(token_ids[-MATCHED_TOKENS:]))
        if start is None:
            return []
        rows = (before + self._length + TILE_ROWS // 2) // TILE_ROWS * TILE_ROWS
        length = max(0, min(rows, longest_rows) - before)
        return list(token_ids[start : start + min(length, limit_tokens)])

    def checked(self, drafted_tokens: int, accepted_tokens: int) -> None:
        """The next draft is longer where this one came true to its end, else hardly longer than what did."""
        if accepted_tokens == drafted_tokens:
            self._length = min(max(self._length, 2 * drafted_tokens + 1), LONGEST_ROWS - 1)
        else:
            self._length = accepted_tokens + 1


class DraftBudget:
    """Whether drafts pay, and how long ones, by what steps with and without them took.

    ``enabled`` False: they are never made.
    """

    def __init__(self, *, enabled: bool = True) -> None:
        self._enabled = enabled
        self._plain_s: dict[int, float] = {}  # a step without drafts, by answers
        self._costs: dict[tuple[int, int], float] = {}  # by answers and rows of each, in steps without drafts
        self._drafted_steps = 0
        self._drafted_s_per_token: float | None = None  # and answer
        self._resting_steps = 0
        self._rest_steps = FIRST_REST_STEPS

    def rows_each(self, answers: int) -> int:
        """The most rows that each of so many answers may have in the next step, its draft included: more would cost as
        much as they bring. 0: no drafts this time. Asked once a step, for a rest is counted in steps."""
        if not self._enabled or answers > DRAFTED_ANSWERS or answers not in self._plain_s:
            return 0
        self._resting_steps = max(0, self._resting_steps - 1)
        return 0 if self._resting_steps else self._longest_rows(answers)

    def _longest_rows(self, answers: int) -> int:
        rows = TILE_ROWS
        while rows < LONGEST_ROWS and self._worth_doubling(answers, rows):
            rows *= 2
        return rows

    def _worth_doubling(self, answers: int, rows: int) -> bool:
        """Where so many rows were tried: twice as many are not too much, or are tried next."""
        cost, twice = self._costs.get((answers, rows)), self._costs.get((answers, 2 * rows))
        return cost is not None and (twice is None or twice <= WORTH_DOUBLING * cost)

    def measured(self, duration_s: float, *, answers: int, tokens: int, drafted_rows: int = 0) -> None:
        """Learn from a step that brought so many tokens to so many answers, and read nothing else.

        ``drafted_rows`` are those of the longest draft and what was computed before it, 0 without drafts.
        """
        if not drafted_rows:
            self._plain_s[answers] = smoothed(self._plain_s.get(answers), duration_s)
            return
        plain_s = self._plain_s[answers]
        self._drafted_steps = (self._drafted_steps + 1) % REMEMBERED_STEPS
        if self._drafted_steps == 0:
            self._costs.clear()
        size = answers, drafted_rows
        self._costs[size] = smoothed(self._costs.get(size), duration_s / plain_s)
        self._drafted_s_per_token = smoothed(self._drafted_s_per_token, duration_s * answers / tokens)
        if self._drafted_s_per_token <= plain_s:
            self._rest_steps = FIRST_REST_STEPS
            return
        self._resting_steps, self._drafted_s_per_token = self._rest_steps, None
        self._rest_steps = min(2 * self._rest_steps, LONGEST_REST_STEPS)
