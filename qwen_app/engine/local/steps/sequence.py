"""Sequence: one request on its way through the worker, its tokens, its text and when it has to end."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

from qwen_app.engine.local.compute.drafts import PromptLookup
from qwen_app.engine.local.sampling.sampler import NO_TOKEN, SampledToken, SamplingRow
from qwen_app.engine.local.steps.answer_text import AnswerText
from qwen_app.engine.local.steps.event_queue import EventQueue
from qwen_app.errors import SchemaError
from qwen_app.messages import Finished, FinishReason, SamplingParams, Timings, TokenLogprob, Usage
from qwen_app.structured.closing.budget_closer import BudgetCloser
from qwen_app.structured.grammars.grammar import GrammarState

FORCED_TOKENS = 64  # at most, with the one drawn before them, in a step
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
        answer: AnswerText,
        events: EventQueue,
        constraint: Constraint | None,
        banned_ids: Sequence[int],
        forces_tokens: bool,
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
        self.lookup = PromptLookup()
        self.answer = answer
        self.reason: FinishReason | None = None
        self._ending: FinishReason = "stop"  # what an end that the model or the closer chooses is called
        self._generator = random.Random(seed)
        self._forces_tokens = forces_tokens and not params.logprobs
        self._limit_tokens = limit_tokens
        self._eos_ids = eos_ids
        self._submitted = submitted
        self._told_tokens = 0
        self._started: float | None = None
        self._first_token: float | None = None

    @property
    def begun_before(self) -> bool:
        """It had a slot and lost it: that it waits and reads its prompt is not reported again."""
        return bool(self.preemptions or self.pauses)

    @property
    def pending_tokens(self) -> int:
        """Tokens to compute before the next can be drawn: one while decoding, more while reading a prompt."""
        return len(self.token_ids) - self.num_computed_tokens

    @property
    def scores(self) -> bool:
        """The next tokens of its prompt get log-probabilities, which the request asked for."""
        return self.params.prompt_logprobs and self.num_computed_tokens < self.prompt_tokens

    @property
    def generated_ids(self) -> list[int]:
        return self.token_ids[self.prompt_tokens :]

    @property
    def num_generated_tokens(self) -> int:
        return len(self.token_ids) - self.prompt_tokens

    @property
    def text(self) -> str:
        return self.answer.text

    @property
    def remaining_tokens(self) -> int:
        return self._limit_tokens - self.num_generated_tokens

    @property
    def cache_owner(self) -> str:
        """Whose cache its prompt may come from: nobody's, where every token of it has to be computed."""
        return self.id if self.params.prompt_logprobs else self.user

    @property
    def foresees_draws(self) -> bool:
        """Whatever the next token is, the one after it is drawn in the same way, if the answer is not over by then."""
        may_end = self._may_end and not self.params.ignore_eos  # else that hangs on whether a call has begun by then
        steady = may_end or not self.answer.may_call
        return self.constraint is None and not self.banned_ids and steady and self.remaining_tokens > 1

    @property
    def _free(self) -> bool:
        """Prose: it ends when the model likes, not when a document is whole."""
        return self.constraint is None or self.constraint.free_text

    @property
    def _may_stop_calling(self) -> bool:
        """No call stands open, and none is owed."""
        owed = not self._free and not self.answer.called
        return not owed and not self.answer.in_named_call

    @property
    def _may_end(self) -> bool:
        return self._may_end_after(0)

    def _may_end_after(self, tokens: int) -> bool:
        return self.num_generated_tokens + tokens >= self.params.min_tokens

    def row(self, awaited: int = 0) -> SamplingRow:
        """How the next token is drawn, ``awaited`` tokens after those that it has."""
        barred = ((token_id, -math.inf) for token_id in sorted(self._barred_ids(awaited)))
        biases = (*self.params.logit_bias, *barred)
        return SamplingRow(self.slot, self.params, self._generator, not self._free, biases)

    def _barred_ids(self, awaited: int) -> frozenset[int]:
        """What would end the answer, which is prose, and may not yet or ever."""
        if not (self._free and self.answer.in_prose):
            return frozenset()
        if not self._may_end_after(awaited):
            return self._eos_ids.union(self.params.stop_token_ids)
        return self._eos_ids if self.params.ignore_eos else frozenset()

    def rewind_generator(self, awaited: int = 0) -> None:
        """Forget numbers drawn beyond the tokens that it has and the ``awaited``: what they gave is drawn again."""
        self._generator.seed(self.seed)
        if self.params.temperature:
            for _ in range(self.num_generated_tokens + awaited):  # a number for each token
                self._generator.random()

    def not_told(self, scored: tuple[TokenLogprob, ...], end: int) -> tuple[TokenLogprob, ...]:
        """What of ``scored``, the prompt's tokens up to the one after ``end``, was not sent before it lost a slot."""
        new = max(0, min(end + 1, self.prompt_tokens) - self._told_tokens)
        return scored[len(scored) - new :]

    def note_told(self, scored: tuple[TokenLogprob, ...]) -> None:
        self._told_tokens += len(scored)

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

    @property
    def decodes(self) -> bool:
        """It has read its prompt, and at most what its grammar forced waits beside the token drawn last."""
        return self.num_computed_tokens >= self.prompt_tokens and self.pending_tokens <= FORCED_TOKENS

    @property
    def forced_token(self) -> int | None:
        """The token that must be drawn next, where that one is still to be drawn: at the beginning, and where somebody
        wants to know how likely it was."""
        if self.constraint is None or (self.num_generated_tokens and self._forces_tokens):
            return None
        return next(iter(self.constraint.state.forced_tokens()), None)

    def allows(self, token_id: int) -> bool:
        """What ``masks_of`` says of one token; NO_TOKEN is none."""
        if token_id == NO_TOKEN or token_id in self.banned_ids:
            return False
        return self.constraint is None or self.constraint.state.allows(token_id)

    def accept(self, sampled: SampledToken, now: float) -> str:
        """Take a drawn token, and those that the grammar then forces; return the text that became certain.

        Sets ``reason`` where the answer ends.
        """
        if self._first_token is None:
            self._first_token = now
        text = self._take(sampled.token_id, now)
        for token_id in self._forced_tokens():
            text += self._take(token_id, now)
            if self.params.temperature:
                self._generator.random()  # as if it had been drawn: a seed gives the same answer either way
            if self.reason is not None or self.token_ids[-1] != token_id:
                break
        return text

    def _forced_tokens(self) -> list[int]:
        if self.constraint is None or self.constraint.closer.closing or self.reason is not None:
            return []
        if not self._forces_tokens:
            return []
        return self.constraint.state.forced_tokens()[: FORCED_TOKENS - 1]

    def _take(self, wanted_id: int, now: float) -> str:
        token_id = self._checked(wanted_id, now)
        if token_id in self._eos_ids or self._stops_at(token_id):
            self.reason = self._ending
            return self.answer.finish()
        self.token_ids.append(token_id)
        text = self.answer.add(token_id, may_stop=self._free and self._may_end)
        if self.answer.stop is not None or (self.constraint is not None and self.constraint.state.is_done()):
            self.reason = self._ending
        elif self.remaining_tokens <= 0:
            self.reason = "length"
        return text + self.answer.finish() if self.reason else text

    def _stops_at(self, token_id: int) -> bool:
        return token_id in self.params.stop_token_ids and self._free and self._may_end and self.answer.in_prose

    def _checked(self, token_id: int, now: float) -> int:
        """The token itself, or the one the closer puts in its place so that the document ends in time."""
        if self.constraint is None:
            return token_id
        state, closer = self.constraint.state, self.constraint.closer
        late = now > self.deadline - CLOSING_TIME_S
        token_id = closer.choose(
            state, token_id, self.remaining_tokens, close_now=late, may_stop=self._may_stop_calling
        )
        if closer.closing and self._ending == "stop":
            self._ending = "deadline" if late else "length"
        if token_id not in self._eos_ids:
            state.accept(token_id)
        return token_id

    def run_out(self, now: float) -> str:
        """End at the deadline, which may come while it has no slot: a document that it has begun is closed without the
        model. Returns the text that came of it."""
        text = ""
        if self._closes_documents:
            try:
                while self.reason is None:
                    text += self._take(min(self._eos_ids), now)
            except SchemaError:  # no ending was found: it ends where it stands
                pass
        return text if self.reason is not None else text + self.end("deadline")

    @property
    def _closes_documents(self) -> bool:
        if self.constraint is None or not self.num_generated_tokens or self._may_stop_calling:
            return False
        return self.constraint.closer.closes(self.constraint.state)

    def end(self, reason: FinishReason) -> str:
        """End from outside: cancelled, or out of time. Returns the text still held back."""
        self.reason = reason
        return self.answer.finish()

    def finished(self, now: float) -> Finished:
        started = now if self._started is None else self._started
        first = now if self._first_token is None else self._first_token
        usage = Usage(self.prompt_tokens, self.num_generated_tokens, self.num_cached_tokens)
        timings = Timings(started - self._submitted, first - self._submitted, now - self._submitted)
        reason, closed = self.reason or "stop", self._ending != "stop"
        return Finished(reason, usage, timings, self.seed, closed, self.answer.stop)
