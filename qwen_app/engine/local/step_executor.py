"""One step of the engine: choose tokens to compute, run the model, draw, and hand out what came of it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from collections.abc import Sequence as Seq
from dataclasses import dataclass, field

import numpy as np
import torch
from tokenizers import Tokenizer

from qwen_app.engine.local.compute.attention import Segment
from qwen_app.engine.local.compute.kv_cache import KVCache
from qwen_app.engine.local.compute.kv_offload import Parking
from qwen_app.engine.local.compute.model_runner import Runner, Work
from qwen_app.engine.local.compute.prefix_cache import SlotPool
from qwen_app.engine.local.compute.recovery import Failure, StickyDeviceError, failure_of, free_memory
from qwen_app.engine.local.compute.sampler import IMPOSSIBLE, Choice, Sampler
from qwen_app.engine.local.detokenize import token_bytes
from qwen_app.engine.local.prefill_budget import ChunkSize
from qwen_app.engine.local.sequence import Sequence
from qwen_app.errors import AppError, EngineError, OutOfDeviceMemory
from qwen_app.messages import Delta, Event, Prefill, TokenLogprob
from qwen_app.structured.grammars.grammar import fill_masks

log = logging.getLogger(__name__)

RETRIES_WITHOUT_MEMORY = 2  # of a step that cannot be made smaller
PREEMPTIONS = 2  # of one request, before it fails


@dataclass(slots=True)
class Outcome:
    """What a step brought: events, sequences that failed, and sequences that lost their slot and wait again."""

    events: list[tuple[Sequence, Event]] = field(default_factory=list)
    failed: list[tuple[Sequence, AppError]] = field(default_factory=list)
    preempted: list[Sequence] = field(default_factory=list)


class Stepper:
    """Owns the model, the cache and which slot holds what. Used by the worker's thread alone."""

    def __init__(
        self,
        *,
        runner: Runner,
        sampler: Sampler,
        cache: KVCache,
        parking: Parking,
        chunk: ChunkSize,
        tokenizer: Tokenizer,
        vocab_size: int,
    ) -> None:
        self._runner = runner
        self._sampler = sampler
        self._cache = cache
        self._parking = parking
        self._chunk = chunk
        self._tokenizer = tokenizer
        self._mask_words = (vocab_size + 31) // 32
        self._pool = SlotPool(cache.slots)
        self._failures_for_memory = 0
        self._short_first = False

    def place(self, sequence: Sequence, now: float) -> int:
        """Give the sequence a slot, with all that is still known of its tokens. Returns how many those are."""
        placement = self._pool.place(sequence.ids)
        sequence.slot = placement.slot  # from here on release() gives it back, whatever fails
        if len(placement.evicted):
            self._parking.expect(sequence.ids)
            self._parking.park(placement.slot, placement.evicted)
        if placement.source is not None:
            self._cache.copy_prefix(placement.source, placement.slot, placement.reused)
        reused = self._parking.restore(placement.slot, sequence.ids, held=placement.reused, token_s=self._chunk.token_s)
        self._pool.hold(placement.slot, sequence.ids[:reused])
        self._sampler.begin(placement.slot, sequence.ids[: sequence.prompt_tokens], sequence.generated, sequence.params)
        sequence.begin(placement.slot, reused, now)
        return reused

    def release(self, sequence: Sequence) -> None:
        """Take the slot back; what it holds stays for whoever continues it."""
        if sequence.slot >= 0:
            self._pool.release(sequence.slot, sequence.ids[: sequence.computed])
            sequence.leave_slot()

    def reset(self) -> None:
        """After a failure nobody foresaw: trust nothing in the cache."""
        self._pool.forget()
        free_memory()

    def prepare(self) -> bool:
        """With nothing else to do: make later steps faster. False when nothing is left to prepare."""
        return self._runner.prepare()

    def step(self, running: Seq[Sequence], clock: Callable[[], float]) -> Outcome:
        """Every decoding sequence moves by one token, and waiting prompts by a chunk."""
        outcome = Outcome()
        chosen = self._choose(running)
        started_s = clock()
        logits, failure = self._forward([work for _, work in chosen])
        if failure is Failure.OUT_OF_MEMORY:
            self._make_room(running, chosen, outcome)
            return outcome
        if failure is Failure.OTHER:
            chosen, logits = self._isolate(chosen, outcome)
        drawing = [sequence for sequence, work in chosen if work.wants_logits]
        choices = self._draw(drawing, logits) if drawing else []
        if choices is None:
            self._make_room(running, chosen, outcome)
            return outcome
        self._failures_for_memory = 0
        for sequence, work in chosen:
            self._note_computed(sequence, work, outcome)
        now = clock()
        for sequence, choice in zip(drawing, choices, strict=True):
            self._accept(sequence, choice, now, outcome)
        self._learn(chosen, clock() - started_s)
        return outcome

    def _choose(self, running: Seq[Sequence]) -> list[tuple[Sequence, Work]]:
        """Every other step prompts that the chunk completes go first; else the oldest, lest short ones starve it."""
        decoding = sorted((sequence for sequence in running if sequence.pending == 1), key=lambda row: row.slot)
        chosen = [(sequence, _work(sequence, 1)) for sequence in decoding]
        room = self._chunk.tokens(len(decoding))
        reading = [sequence for sequence in running if sequence.pending > 1]
        self._short_first = not self._short_first
        if self._short_first:
            reading.sort(key=lambda sequence: sequence.pending > room)
        for sequence in reading:
            if room > 0:
                chosen.append((sequence, _work(sequence, room)))
                room -= chosen[-1][1].segment.length
        return chosen

    def _forward(self, works: Seq[Work]) -> tuple[torch.Tensor, Failure | None]:
        try:
            return self._runner.forward(works), None
        except Exception as error:  # torch raises many kinds; each is told apart here
            failure = failure_of(error)
            log.warning("forward pass failed (%s): %s", failure.value, str(error), exc_info=failure is Failure.OTHER)
            if failure is Failure.STICKY:
                raise StickyDeviceError(str(error)) from error
        return torch.empty(0), failure

    def _isolate(
        self, chosen: Seq[tuple[Sequence, Work]], outcome: Outcome
    ) -> tuple[list[tuple[Sequence, Work]], torch.Tensor]:
        """Run each alone, so that only the one to blame fails. Writing a token's keys twice does no harm."""
        passed, logits = [], []
        for sequence, work in chosen:
            rows, failure = self._forward([work])
            if failure is None:
                passed.append((sequence, work))
                logits.append(rows)
            else:
                self._distrust(sequence)
                outcome.failed.append((sequence, EngineError("The model failed on this request. Try it once more.")))
        return passed, torch.cat(logits) if logits else torch.empty(0)

    def _distrust(self, sequence: Sequence) -> None:
        """Nothing that was computed for it may be used again."""
        sequence.computed = 0
        self._cache.clear(sequence.slot)

    def _make_room(self, running: Seq[Sequence], chosen: Seq[tuple[Sequence, Work]], outcome: Outcome) -> None:
        """Less at once; then without the newest; then give up on the one that is left. The next step tries again."""
        free_memory()
        reads = any(work.segment.length > 1 for _, work in chosen)
        if reads and self._chunk.halve():
            return
        self._failures_for_memory += 1
        if self._failures_for_memory <= RETRIES_WITHOUT_MEMORY:
            return
        newest = running[-1]
        if len(running) > 1 and newest.preemptions < PREEMPTIONS:
            self.release(newest)
            newest.preemptions += 1
            outcome.preempted.append(newest)
        else:
            sentence = "The device has no memory left for this request. Shorten it, or try again later."
            outcome.failed.append((newest, OutOfDeviceMemory(sentence)))

    def _note_computed(self, sequence: Sequence, work: Work, outcome: Outcome) -> None:
        sequence.computed += work.segment.length
        if work.segment.length > 1 or sequence.computed <= sequence.prompt_tokens:
            self._pool.hold(sequence.slot, sequence.ids[: sequence.computed])
        if sequence.computed <= sequence.prompt_tokens and not sequence.preemptions:
            outcome.events.append((sequence, Prefill(sequence.computed, sequence.prompt_tokens, sequence.reused)))

    def _draw(self, drawing: Seq[Sequence], logits: torch.Tensor) -> list[Choice] | None:
        """The next token of each; None where there was no memory for it, and the step has to be made again."""
        masks = self._masks(drawing)  # beside the forward pass: a GPU is still at work on it
        try:
            return self._sampler.sample(logits, [sequence.row() for sequence in drawing], masks)
        except Exception as error:
            if failure_of(error) is not Failure.OUT_OF_MEMORY:
                raise
        return None

    def _accept(self, sequence: Sequence, choice: Choice, now: float, outcome: Outcome) -> None:
        if choice.token_id == IMPOSSIBLE:
            self._distrust(sequence)
            outcome.failed.append((sequence, EngineError("The model gave no token that could be used here.")))
            return
        before = len(sequence.ids)
        try:
            text = sequence.accept(choice, now)
        except AppError as error:
            outcome.failed.append((sequence, error))
            return
        except Exception:  # what is wrong with one request's text or grammar must not end the others
            log.exception("token %d could not be taken", choice.token_id)
            outcome.failed.append((sequence, EngineError("The engine failed on this request. Try it once more.")))
            return
        token_ids = tuple(sequence.ids[before:])
        if text or token_ids:
            outcome.events.append((sequence, Delta(text, token_ids, self._logprobs(choice, token_ids))))

    def _masks(self, drawing: Seq[Sequence]) -> np.ndarray | None:
        """int32 ``[rows, words]``, all bits set in rows without a grammar; None where no row is held to anything."""
        held = [index for index, sequence in enumerate(drawing) if sequence.constraint or sequence.banned_ids]
        if not held:
            return None
        masks = np.full((len(drawing), self._mask_words), -1, np.int32)
        states = [(index, drawing[index].constraint) for index in held if drawing[index].constraint]
        if states:
            rows = np.zeros((len(states), self._mask_words), np.int32)
            fill_masks([constraint.state for _, constraint in states if constraint], rows)
            masks[[index for index, _ in states]] = rows
        for index in held:
            for token_id in drawing[index].banned_ids:
                masks.view(np.uint32)[index, token_id // 32] &= np.uint32(0xFFFFFFFF ^ 1 << token_id % 32)
        return masks

    def _logprobs(self, choice: Choice, token_ids: Seq[int]) -> tuple[TokenLogprob, ...]:
        if choice.logprob is None or token_ids != (choice.token_id,):  # the closer may have put another in its place
            return ()
        top = tuple(self._logprob(token_id, logprob) for token_id, logprob in choice.top)
        return (self._logprob(choice.token_id, choice.logprob, top),)

    def _logprob(self, token_id: int, logprob: float, top: tuple[TokenLogprob, ...] = ()) -> TokenLogprob:
        spelled = token_bytes(self._tokenizer, token_id)
        return TokenLogprob(token_id, spelled.decode(errors="replace"), spelled, logprob, top)

    def _learn(self, chosen: Seq[tuple[Sequence, Work]], duration_s: float) -> None:
        lengths = [work.segment.length for _, work in chosen]
        chunk_tokens = sum(length for length in lengths if length > 1)
        self._chunk.measured(duration_s, decoding_rows=lengths.count(1), chunk_tokens=chunk_tokens)


def _work(sequence: Sequence, limit_tokens: int) -> Work:
    length = min(sequence.pending, limit_tokens)
    segment = Segment(sequence.slot, sequence.computed, length)
    token_ids = sequence.ids[segment.start : segment.end]
    return Work(segment, token_ids, wants_logits=segment.end == len(sequence.ids))
