"""CUDA graphs: decode steps captured once and replayed, so that launching kernels does not hold up a small batch."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from transformers import PreTrainedModel

from qwen_app.engine.local.attention.batch import Batch, QuerySpan
from qwen_app.engine.local.attention.flash import FlashAttention, FlashCall, FlashPlan
from qwen_app.engine.local.attention.transfer import pinned
from qwen_app.engine.local.compute.decoder import Decoder
from qwen_app.engine.local.compute.recovery import Failure, answers, failure_of, free_memory
from qwen_app.kernels.failure import short_reason

log = logging.getLogger(__name__)

EVERY_COUNT_UP_TO = 8  # rows; above, every fourth count has a graph, and spare rows write to scratch cells
SHORTEST_KEYS = 2048  # a kernel recorded for long keys splits short ones as finely, and adds up what it split in vain
WARM_UP_RUNS = 3
INPUT_IDS, POSITION_IDS, SLOT_MAPPING, CU_SEQLENS_K, SEQUSED_K = range(5)  # the rows of a captured step's inputs

Step = Callable[[], torch.Tensor]


class Replayable(Protocol):
    """A captured step: ``replay`` computes it again from what its inputs hold by then."""

    def replay(self) -> None: ...


class Recorder(Protocol):
    """Captures ``step``, and returns it with the tensor that every replay writes to."""

    def __call__(self, step: Step) -> tuple[Replayable, torch.Tensor]: ...


@dataclass(frozen=True, slots=True)
class CapturedStep:
    """One token a row, which sees at most ``max_keys``.

    int64 ``inputs`` ``[5, batch_size]`` in, ``logits`` ``[batch_size, vocab]`` out.
    """

    batch_size: int
    max_keys: int
    graph: Replayable
    inputs: torch.Tensor
    logits: torch.Tensor


class CudaRecorder:
    """Captures with ``torch.cuda.graph``; all captures share one memory pool, for no two run at once.

    They also share a stream: cuBLAS keeps a workspace for each stream that ever multiplied, 32 MB on Hopper.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream: torch.cuda.Stream | None = None
        self._pool = torch.cuda.graph_pool_handle() if device.type == "cuda" else None

    def __call__(self, step: Step) -> tuple[Replayable, torch.Tensor]:
        usual = torch.cuda.current_stream(self._device)
        beside = self._stream = self._stream or torch.cuda.Stream(self._device)
        beside.wait_stream(usual)
        with torch.cuda.stream(beside):
            for _ in range(WARM_UP_RUNS):
                step()
        usual.wait_stream(beside)
        graph = torch.cuda.CUDAGraph()
        try:
            # Other threads may allocate meanwhile: only this one's calls can spoil the capture.
            with torch.cuda.graph(graph, pool=self._pool, stream=beside, capture_error_mode="thread_local"):
                output = step()
        finally:
            torch.cuda.set_stream(usual)  # a capture that breaks off leaves its own stream behind
        return graph, output


class DecodeGraphs:
    """Steps of one token a row, captured up to the logits: before the engine is ready, for every count up to its slots,
    and for a few lengths of keys each where the attention fixes by them how it splits keys.

    Above eight rows some counts have none of their own. Rows that a step leaves empty write to scratch cells.
    """

    def __init__(
        self,
        model: PreTrainedModel | Decoder,
        attention: FlashAttention,
        device: torch.device,
        record: Recorder | None = None,
    ) -> None:
        self._model = model
        self._attention = attention
        self._cache = attention.cache
        self._device = device
        self._record = record or CudaRecorder(device)
        # The largest first: what it allocated serves the others too, and it can stand in for them.
        longest = self._cache.length
        lengths = [longest] if attention.serves_any_length else key_lengths(longest)
        self._missing = [(rows, keys) for keys in lengths for rows in row_counts(self._cache.slots)]
        self._logits: torch.Tensor | None = None  # of whichever step was replayed last: those of each would add up
        self.captured: list[CapturedStep] = []
        self.problem = ""

    def capture_next(self) -> bool:
        """Capture one more step. False when all are there, or when there is no memory for more."""
        if not self._missing:
            return False
        step = failure = None
        try:
            step = self._capture(*self._missing[0])
        except Exception as refused:
            failure, reason = failure_of(refused), short_reason(refused)
            if failure is Failure.STICKY and not answers(self._device):
                raise
        if step is None:  # out of the handler: an exception keeps alive the tensors of what failed
            return self._refused(failure, reason)
        self._missing.pop(0)
        self.captured.append(step)
        self.captured.sort(key=lambda captured: (captured.batch_size, captured.max_keys))
        return True

    def _refused(self, failure: Failure | None, reason: str) -> bool:
        if failure is Failure.OUT_OF_MEMORY:
            # Not later either: what is captured then would serve unchecked.
            self.problem = f"There is no memory to capture steps of {self._missing[0][0]} rows: they are slower."
            log.error("%s", self.problem)
            self._missing.clear()
            free_memory()
        else:
            self.give_up(f"Steps of {self._missing[0][0]} rows cannot be captured ({reason}).")
        return False

    def give_up(self, problem: str) -> None:
        """Replay nothing any more: steps run as they would without graphs, right but slower."""
        log.error("%s They run without CUDA graphs, slower than they could.", problem)
        self.problem = problem
        self._missing.clear()
        self.captured.clear()

    @property
    def batch_sizes(self) -> list[int]:
        """What was captured."""
        return sorted({step.batch_size for step in self.captured})

    def fitting(self, rows: int, keys: int) -> CapturedStep | None:
        """The smallest captured step for ``rows`` tokens that see at most ``keys`` each, None where it has to run
        uncaptured."""
        return next((step for step in self.captured if step.batch_size >= rows and step.max_keys >= keys), None)

    def replay(
        self,
        step: CapturedStep,
        spans: Sequence[QuerySpan],
        token_ids: Sequence[int],
        drawn: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Logits ``[spans, vocab]``, valid until the next replay of any step. ``drawn`` are the tokens themselves,
        where they are on the device alone."""
        cache = self._cache
        spare = step.batch_size - len(spans)
        scratch = cache.scratch(spare)
        inputs = [
            [*token_ids, *[0] * spare],
            [*(span.start for span in spans), *[0] * spare],
            [*(cache.cell(span.slot, span.start) for span in spans), *scratch],
            [*(cache.cell(span.slot, 0) for span in spans), *scratch],
            [*(span.end for span in spans), *[1] * spare],
        ]
        step.inputs.copy_(pinned(torch.tensor(inputs, dtype=torch.int64), self._device), non_blocking=True)
        if drawn is not None:
            step.inputs[INPUT_IDS, : len(spans)].copy_(drawn)
        step.graph.replay()
        return step.logits[: len(spans)]

    @torch.inference_mode()
    def _capture(self, batch_size: int, max_keys: int) -> CapturedStep:
        inputs = torch.zeros(5, batch_size, dtype=torch.int64, device=self._device)
        first = self._cache.scratch(batch_size).start
        scratch = torch.arange(first, first + batch_size, device=self._device)
        inputs[SLOT_MAPPING], inputs[CU_SEQLENS_K], inputs[SEQUSED_K] = scratch, scratch, 1
        graph, logits = self._record(lambda: self._kept(self.run(inputs, max_keys)))
        return CapturedStep(batch_size, max_keys, graph, inputs, logits)

    def _kept(self, logits: torch.Tensor) -> torch.Tensor:
        """``logits`` where all steps leave them. The first step is the largest, and is run before it is captured."""
        if self._logits is None:
            self._logits = torch.empty_like(logits)
        return self._logits[: len(logits)].copy_(logits)

    def run(self, inputs: torch.Tensor, max_keys: int) -> torch.Tensor:
        """The step that is captured, for at most so many keys: how the kernel splits them is fixed by then."""
        batch_size = inputs.shape[1]
        key_starts = inputs[CU_SEQLENS_K].int()
        call = FlashCall(
            first=0,
            tokens=batch_size,
            cu_seqlens_q=torch.arange(batch_size + 1, dtype=torch.int32, device=inputs.device),
            cu_seqlens_k=torch.cat((key_starts, key_starts[-1:])),
            seqused_k=inputs[SEQUSED_K].int(),
            max_seqlen_q=1,
            max_seqlen_k=max_keys,
        )
        output = self._model(
            input_ids=inputs[INPUT_IDS : INPUT_IDS + 1],
            position_ids=inputs[POSITION_IDS : POSITION_IDS + 1],
            use_cache=False,
            batch=Batch((), inputs[SLOT_MAPPING], self._attention, FlashPlan((call,))),
        )
        logits: torch.Tensor = output.logits[0]
        return logits


def row_counts(slots: int) -> list[int]:
    """For how many rows a step is captured, the most first; the first is at least ``slots``."""
    above = range(EVERY_COUNT_UP_TO + 4, slots + 4, 4)
    return [*reversed(above), *range(min(slots, EVERY_COUNT_UP_TO), 0, -1)]


def key_lengths(longest: int) -> list[int]:
    """For how many keys a step is captured, the most first: the slot's length, and doublings below."""
    lengths = [longest]
    keys = SHORTEST_KEYS
    while keys < longest:
        lengths.insert(1, keys)
        keys *= 2
    return lengths
