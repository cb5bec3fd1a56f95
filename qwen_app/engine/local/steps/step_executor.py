"""Step executor: one step of continuous batching. Choose tokens, run the model, draw, hand out the result."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

import torch

from qwen_app.engine.local.compute.model_runner import ScheduledChunk
from qwen_app.engine.local.compute.parts import ComputeParts
from qwen_app.engine.local.compute.recovery import (
    Failure,
    StickyDeviceError,
    failure_of,
    free_memory,
    where_there_is_memory,
)
from qwen_app.engine.local.steps.acceptance import Acceptance
from qwen_app.engine.local.steps.chunk_scheduler import ChunkScheduler
from qwen_app.engine.local.steps.chunks import Schedule, awaited_chunk_of, chunk_of, drafted_chunk_of
from qwen_app.engine.local.steps.drawing import Drawing
from qwen_app.engine.local.steps.overlap import LaunchedStep
from qwen_app.engine.local.steps.sequence import SequenceState
from qwen_app.engine.local.steps.spelling import Spelling
from qwen_app.engine.local.steps.step_output import StepOutput
from qwen_app.errors import EngineError, OutOfDeviceMemory

log = logging.getLogger(__name__)

RETRIES_WITHOUT_MEMORY = 2  # of a step that cannot be made smaller
NO_MEMORY = "The device has no memory left for this request. Shorten it, or try again later."
PREEMPTIONS = 2  # of one request, before it fails


class StepExecutor:
    """Moves running sequences on with ``parts``. Used by the worker's thread alone."""

    def __init__(self, parts: ComputeParts, spelling: Spelling, *, vocab_size: int) -> None:
        self._parts = parts
        self._drawing = Drawing(parts.sampler, spelling, vocab_size=vocab_size)
        self._chunk_scheduler = ChunkScheduler(parts)
        self._acceptance = Acceptance(parts, self._drawing)
        self._out_of_memory_steps = 0
        self._launched: LaunchedStep | None = None  # and not read
        self._read_s = 0.0  # on the caller's clock: when a launched step was last read
        self._awaits_copies = False  # the running step waits for them, so its duration teaches nothing

    def place(self, sequence: SequenceState, now: float) -> int | None:
        """Give the sequence a slot, with all that is still known of its tokens. Returns how many those are; None where
        there is no memory for it, and it has no slot."""
        for _ in range(1 + RETRIES_WITHOUT_MEMORY):
            num_cached_tokens = where_there_is_memory(lambda: self._placed(sequence, now))
            if num_cached_tokens is not None:
                return num_cached_tokens
            self.release(sequence)
            free_memory()
        return None

    def _placed(self, sequence: SequenceState, now: float) -> int:
        parts, token_ids = self._parts, sequence.token_ids
        placement = parts.prefix_cache.place(token_ids, sequence.cache_owner)
        sequence.slot = placement.slot  # from here on release() gives it back, whatever fails
        if len(placement.evicted):
            parts.host_cache.reserve(token_ids, sequence.cache_owner)
            parts.host_cache.offload(placement.slot, placement.evicted, placement.evicted_owner)
        if placement.source is not None:
            parts.kv_cache.copy_prefix(placement.source, placement.slot, placement.num_cached_tokens)
        num_cached_tokens = parts.host_cache.restore(
            placement.slot,
            token_ids,
            sequence.cache_owner,
            num_cached_tokens=placement.num_cached_tokens,
            compute_s_per_token=parts.prefill_budget.prefill_s_per_token,
        )
        parts.prefix_cache.mark_cached(placement.slot, token_ids[:num_cached_tokens])
        prompt_ids = token_ids[: sequence.prompt_tokens]
        parts.sampler.begin(placement.slot, prompt_ids, sequence.generated_ids, sequence.params)
        sequence.begin(placement.slot, num_cached_tokens, now)
        return num_cached_tokens

    def release(self, sequence: SequenceState) -> None:
        """Take the slot back for good; what it holds stays for its owner's next request, if there can be one."""
        reusable = sequence.cache_owner == sequence.user
        self._leave(sequence, sequence.num_computed_tokens if reusable else 0)

    def pause(self, sequence: SequenceState) -> None:
        """Take the slot back for another user's; the sequence goes on where it was once it is placed again."""
        self._leave(sequence, sequence.num_computed_tokens)
        sequence.pauses += 1

    def _leave(self, sequence: SequenceState, kept_tokens: int) -> None:
        if self._launched and self._launched.forget(sequence):
            sequence.rewind_generator()
        if sequence.slot >= 0:
            self._parts.prefix_cache.release(sequence.slot, sequence.token_ids[:kept_tokens])
            sequence.leave_slot()

    def reset(self) -> None:
        """After a failure nobody foresaw: trust nothing in the cache."""
        self._launched = None
        self._parts.prefix_cache.invalidate()
        free_memory()

    def step(self, running: Sequence[SequenceState], clock: Callable[[], float]) -> StepOutput:
        """Every decoding sequence moves by one token, and waiting prompts by a chunk."""
        running = self._not_copying(running)
        draft_rows = self._parts.drafts.rows_each(len(running)) if all(sequence.decodes for sequence in running) else 0
        steady = self._parts.overlaps and _steady(running, draft_rows)
        launched = self._launched if self._launched and self._launched.wanted else None
        self._launched = None
        if launched is None and steady:
            launched = self._launch(running, None, clock())
        if launched is None:
            return self._step(running, clock, draft_rows)
        if steady and launched.moves(running):
            self._launched = self._launch(running, launched, clock())
        return self._read(launched, running, clock)

    def _not_copying(self, running: Sequence[SequenceState]) -> Sequence[SequenceState]:
        """Those whose slots are not being copied from or to the host's memory; all where there are no others."""
        cache = self._parts.kv_cache
        copied = [sequence for sequence in running if not cache.copying(sequence.slot)]
        self._awaits_copies = not copied
        cache.wait_for_copies(*(sequence.slot for sequence in copied or running))
        return copied or running

    def _launch(
        self, running: Sequence[SequenceState], before: LaunchedStep | None, started_s: float
    ) -> LaunchedStep | None:
        """A step by one token each, on top of the one ``before`` that is still to be read. None where it cannot be."""
        sequences = sorted(running, key=lambda one: one.slot)
        awaited = 0 if before is None else 1
        logits = where_there_is_memory(lambda: self._logits_ahead(sequences, awaited, before))
        if logits is None:
            return None  # the next step meets what failed again, and deals with it
        rows = [sequence.row(awaited) for sequence in sequences]
        sample = where_there_is_memory(lambda: self._parts.sampler.launch(logits, rows))
        if sample is None:
            for sequence in sequences:
                sequence.rewind_generator(awaited)
            return None
        return LaunchedStep(sequences, sample, started_s)

    def _logits_ahead(
        self, sequences: Sequence[SequenceState], awaited: int, before: LaunchedStep | None
    ) -> torch.Tensor | None:
        if not self._parts.sampler.draws_at_once([sequence.row(awaited) for sequence in sequences]):
            return None
        if before is None:
            logits, failure = self._forward([chunk_of(sequence, 1) for sequence in sequences])
        else:
            logits, failure = self._forward([awaited_chunk_of(one) for one in sequences], before.drawn(sequences))
        return logits if failure is None else None

    def _read(self, launched: LaunchedStep, running: Sequence[SequenceState], clock: Callable[[], float]) -> StepOutput:
        output = StepOutput()
        alone = launched.moves(running) and launched.launched_rows == len(running)  # nobody was placed beside it
        alone = alone and not self._awaits_copies
        moved = launched.read()
        now = clock()
        for sequence, sampled in moved:
            sequence.num_computed_tokens += 1
            self._acceptance.accept(sequence, sampled, now, output)
        if alone:
            duration_s = now - max(launched.started_s, self._read_s)
            self._parts.drafts.measured(duration_s, answers=len(moved), tokens=len(moved))
            self._parts.prefill_budget.measured(duration_s, decoding_rows=len(moved), chunk_tokens=0)
        self._out_of_memory_steps = 0
        self._read_s = now
        return output

    def _step(self, running: Sequence[SequenceState], clock: Callable[[], float], draft_rows: int) -> StepOutput:
        output = StepOutput()
        scheduled = self._chunk_scheduler.schedule(running, draft_rows)
        started_s = clock()
        logits, failure = self._forward([chunk for _, chunk in scheduled])
        if failure is Failure.OTHER:
            scheduled, logits = self._isolate(scheduled, output)
        drawn = None if failure is Failure.OUT_OF_MEMORY else self._drawing.drawn(scheduled, logits)
        if drawn is None:
            self._make_room(running, scheduled, output)
            return output
        self._out_of_memory_steps = 0
        new_tokens = self._acceptance.take(scheduled, logits, drawn, clock(), output)
        if failure is None and not self._awaits_copies:
            self._update_cost_model(scheduled, clock() - started_s, new_tokens)
        return output

    def _forward(
        self, chunks: Sequence[ScheduledChunk], drawn: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, Failure | None]:
        try:
            return self._parts.runner.forward(chunks, drawn), None
        except Exception as error:  # torch raises many kinds; each is told apart here
            failure = failure_of(error)
            log.warning("forward pass failed (%s): %s", failure.value, str(error), exc_info=failure is Failure.OTHER)
            if failure is Failure.STICKY:
                raise StickyDeviceError(str(error)) from error
        return torch.empty(0), failure

    def _isolate(self, scheduled: Schedule, output: StepOutput) -> tuple[Schedule, torch.Tensor]:
        """Run each alone, so that only the one to blame fails. Writing a token's keys twice does no harm."""
        passed, logits = [], []
        for sequence, chunk in scheduled:
            rows, failure = self._forward([chunk])
            if failure is None:
                passed.append((sequence, chunk))
                logits.append(rows.clone())  # a replayed step writes over the rows of the one before
            else:
                self._acceptance.distrust(sequence)
                output.failed.append((sequence, EngineError("The model failed on this request. Try it once more.")))
        return passed, torch.cat(logits) if logits else torch.empty(0)

    def _make_room(self, running: Sequence[SequenceState], scheduled: Schedule, output: StepOutput) -> None:
        """Less at once; then without the newest; then give up on the one that is left. The next step tries again."""
        free_memory()
        reads = any(chunk.span.length > 1 for _, chunk in scheduled)
        if reads and self._parts.prefill_budget.halve():
            return
        self._out_of_memory_steps += 1
        if self._out_of_memory_steps <= RETRIES_WITHOUT_MEMORY:
            return
        newest = running[-1]
        if len(running) > 1 and newest.preemptions < PREEMPTIONS:
            self._leave(newest, newest.num_computed_tokens)
            newest.preemptions += 1
            output.preempted.append(newest)
        else:
            output.failed.append((newest, OutOfDeviceMemory(NO_MEMORY)))

    def _update_cost_model(self, scheduled: Schedule, duration_s: float, new_tokens: int) -> None:
        drafted = any(chunk.drafted for _, chunk in scheduled)
        longest = max(chunk.span.length for _, chunk in scheduled)
        if new_tokens and (drafted or longest == 1):
            drafted_rows = longest if drafted else 0
            self._parts.drafts.measured(
                duration_s, answers=len(scheduled), tokens=new_tokens, drafted_rows=drafted_rows
            )
        if drafted:
            return
        reads = [chunk.span.length for one, chunk in scheduled if chunk.span.start < one.prompt_tokens]
        chunks = [length for length in reads if length > 1]
        decoding_rows = len(scheduled) - len(chunks)
        self._parts.prefill_budget.measured(duration_s, decoding_rows=decoding_rows, chunk_tokens=sum(chunks))


def _steady(running: Sequence[SequenceState], draft_rows: int) -> bool:
    """Whether all do nothing but decode a token, and know by now how the one after it is drawn: steps may overlap."""
    if not all(sequence.decodes and sequence.pending_tokens == 1 and sequence.foresees_draws for sequence in running):
        return False
    return not draft_rows or not any(drafted_chunk_of(sequence, draft_rows).drafted for sequence in running)
