"""Sequence: one request on its way through the worker, its tokens, its text and when it has to end."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from qwen_app.engine.local.compute.sampler import SampledToken, SamplingRow
from qwen_app.engine.local.detokenize import Detokenizer
from qwen_app.engine.local.event_queue import EventQueue
from qwen_app.messages import Finished, FinishReason, SamplingParams, Timings, Usage
from qwen_app.structured.closing.budget_closer import BudgetCloser
from qwen_app.structured.grammars.grammar import GrammarState

CLOSING_TIME_S = 3.0  # before the deadline, in which a constrained answer writes its shortest ending


@dataclass(frozen=True, slots=True)
class Constraint:
    """What keeps an answer to its grammar and closes it in time. ``free_text`` grammars shape only parts of it."""

    state: GrammarState
    closer: BudgetCloser
    free_text: bool = False


class SequenceState:
    """``token_ids`` are prompt and answer; the first ``num_computed_tokens`` of them are in the KV cache.

    ``num_cached_tokens`` were there when it first started, from an earlier request. ``slot`` is -1 while it waits.
    Times are seconds on the worker's clock. ``limit_tokens`` bounds the answer.
    """

    def __init__(
        self,
        *,
        request_id: str,
        user: str,
        prompt_ids: Sequence[int],
        params: SamplingParams,
        seed: int,
        limit_tokens: int,
        deadline: float,
        submitted: float,
        eos_ids: frozenset[int],
        detokenizer: Detokenizer,
        events: EventQueue,
        constraint: Constraint | None = None,
        banned_ids: Sequence[int] = (),
    ) -> None:
        self.id = request_id
        self.user = user
        self.params = params
        self.seed = seed
        self.deadline = deadline
        self.events = events
        self.constraint = constraint
        self.banned_ids = tuple(banned_ids)
        self.token_ids = list(prompt_ids)
        self.prompt_tokens = len(self.token_ids)
        self.num_computed_tokens = 0
        self.num_cached_tokens = 0
        self.preemptions = 0  # for want of memory, which is bounded
        self.pauses = 0  # for another user
        self.slot = -1
        self.text = ""
        self.reason: FinishReason | None = None
        self._ending: FinishReason = "stop"  # what an end that the model or the closer chooses is called
        self._generator = random.Random(seed)
        self._limit_tokens = limit_tokens
        self._eos_ids = eos_ids
        self._detokenizer = detokenizer
        self._submitted = submitted
        self._started: float | None = None
        self._first_token: float | None = None

    @property
    def begun_before(self) -> bool:
        """It lost a slot: nobody is told again that it waits and reads."""
        return bool(self.preemptions or self.pauses)

    @property
    def pending_tokens(self) -> int:
        """Tokens to compute before the next can be drawn: one while decoding, more while reading a prompt."""
        return len(self.token_ids) - self.num_computed_tokens

    @property
    def generated_ids(self) -> list[int]:
        return self.token_ids[self.prompt_tokens :]

    @property
    def remaining_tokens(self) -> int:
        return self._limit_tokens - (len(self.token_ids) - self.prompt_tokens)

    def row(self) -> SamplingRow:
        constrained = self.constraint is not None and not self.constraint.free_text
        return SamplingRow(self.slot, self.params, self._generator, constrained)

    def begin(self, slot: int, num_cached_tokens: int, now: float) -> None:
        """Take a slot that holds the first ``num_cached_tokens`` already."""
        self.slot = slot
        self.num_computed_tokens = num_cached_tokens
        if self._started is None:
            self._started = now
            self.num_cached_tokens = num_cached_tokens

    def leave_slot(self) -> None:
        """Preempted: everything will be computed again."""
        self.slot = -1
        self.num_computed_tokens = 0

    def accept(self, sampled: SampledToken, now: float) -> str:
        """Take a drawn token and return the text that became certain. Sets ``reason`` where the answer ends."""
        if self._first_token is None:
            self._first_token = now
        token_id = self._checked(sampled.token_id, now)
        if token_id in self._eos_ids:
            self.reason = self._ending
            return self._flush()
        self.token_ids.append(token_id)
        text = self._detokenizer.add(token_id)
        self.text += text
        if self._detokenizer.stopped or (self.constraint is not None and self.constraint.state.is_done()):
            self.reason = self._ending
        elif self.remaining_tokens <= 0:
            self.reason = "length"
        return text + self._flush() if self.reason else text

    def _checked(self, token_id: int, now: float) -> int:
        """The token itself, or the one the closer puts in its place so that the document ends in time."""
        if self.constraint is None:
            return token_id
        state, closer = self.constraint.state, self.constraint.closer
        late = now > self.deadline - CLOSING_TIME_S
        token_id = closer.choose(state, token_id, self.remaining_tokens, close_now=late)
        if closer.closing and self._ending == "stop":
            self._ending = "deadline" if late else "length"
        if token_id not in self._eos_ids:
            state.accept(token_id)
        return token_id

    def end(self, reason: FinishReason) -> str:
        """End from outside: cancelled, or out of time. Returns the text still held back."""
        self.reason = reason
        return self._flush()

    def finished(self, now: float) -> Finished:
        started = now if self._started is None else self._started
        first = now if self._first_token is None else self._first_token
        usage = Usage(self.prompt_tokens, len(self.token_ids) - self.prompt_tokens, self.num_cached_tokens)
        timings = Timings(started - self._submitted, first - self._submitted, now - self._submitted)
        return Finished(self.reason or "stop", usage, timings, self.seed, self._ending != "stop")

    def _flush(self) -> str:
        text = self._detokenizer.flush()
        self.text += text
        return text
