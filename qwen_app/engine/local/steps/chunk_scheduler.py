"""Which chunks a step computes: a token of each decoding sequence, and of waiting prompts what the budget allows."""

from __future__ import annotations

from collections.abc import Sequence

from qwen_app.engine.local.compute.parts import ComputeParts
from qwen_app.engine.local.steps.chunks import SCORED_TOKENS, Schedule, chunk_of, drafted_chunk_of
from qwen_app.engine.local.steps.sequence import SequenceState


class ChunkScheduler:
    """Shares out the prefill budget of ``parts``. Remembers which prompts have their turn: short ones or the oldest."""

    def __init__(self, parts: ComputeParts) -> None:
        self._parts = parts
        self._short_first = False

    def schedule(self, running: Sequence[SequenceState], draft_rows: int) -> Schedule:
        """Every other step prompts that the budget completes go first; else the oldest, lest short ones starve it.

        Rows of one token come first: a card attends to those together, with their keys split.
        """
        decoding: list[SequenceState] = []
        reading: list[SequenceState] = []
        for one in running:
            (decoding if one.pending_tokens == 1 or one.decodes else reading).append(one)
        scheduled = [
            (one, drafted_chunk_of(one, draft_rows) if draft_rows else chunk_of(one, one.pending_tokens))
            for one in decoding
        ]
        scheduled.sort(key=lambda each: (each[1].span.length > 1, each[0].slot))
        if draft_rows:
            return scheduled
        budget_tokens = self._parts.prefill_budget.tokens(len(decoding))
        self._short_first = not self._short_first
        if self._short_first:
            reading.sort(key=lambda sequence: sequence.pending_tokens > budget_tokens)
        scored_tokens = 0
        for sequence in reading:
            limit_tokens = min(budget_tokens, SCORED_TOKENS - scored_tokens) if sequence.scores else budget_tokens
            if limit_tokens > 0:
                chunk = chunk_of(sequence, limit_tokens)
                scheduled.append((sequence, chunk))
                budget_tokens -= chunk.span.length
                scored_tokens += chunk.span.length if chunk.scores else 0
        return scheduled
