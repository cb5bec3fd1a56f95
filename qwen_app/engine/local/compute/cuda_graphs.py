"""CUDA graphs: decode steps captured once and replayed, so that launching kernels does not hold up a small batch."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from transformers import PreTrainedModel

from qwen_app.engine.local.compute.attention import Batch, QuerySpan
from qwen_app.engine.local.compute.flash_attention import FlashAttentionPlan
from qwen_app.engine.local.compute.kv_cache import SCRATCH_CELLS, KVCache

log = logging.getLogger(__name__)

BATCH_SIZES = (1, 2, 4, 8)
WARM_UP_RUNS = 3
INPUT_IDS, POSITION_IDS, SLOT_MAPPING, CU_SEQLENS_K, SEQUSED_K = range(5)  # the rows of a captured step's inputs


@dataclass(frozen=True, slots=True)
class CapturedStep:
    """One token a row: int64 ``inputs`` ``[5, batch_size]`` in, ``logits`` ``[batch_size, vocab]`` out."""

    batch_size: int
    graph: torch.cuda.CUDAGraph
    inputs: torch.Tensor
    logits: torch.Tensor


class DecodeGraphs:
    """Steps of one token a row, captured up to the logits. Rows that a step leaves empty write to scratch cells.

    Nothing is captured before ``capture_next``, which the worker calls when it has nothing else to do: capturing never
    delays an answer.
    """

    def __init__(self, model: PreTrainedModel, cache: KVCache, device: torch.device) -> None:
        self._model = model
        self._cache = cache
        self._device = device
        self._missing = [size for size in BATCH_SIZES if size <= max(cache.slots, 1) and size <= SCRATCH_CELLS]
        self._captured: list[CapturedStep] = []

    def capture_next(self) -> bool:
        """Capture one more batch size. False when all are there."""
        if not self._missing:
            return False
        batch_size = self._missing.pop(0)
        try:
            self._captured.append(self._capture(batch_size))
        except Exception as refused:  # a model with a step that cannot be captured runs as it did before
            log.warning("steps of %d rows cannot be captured (%s); they run uncaptured", batch_size, refused)
            self._missing.clear()
        return True

    def fitting(self, rows: int) -> CapturedStep | None:
        """The smallest captured step for ``rows`` tokens, None where it has to run uncaptured."""
        return next((step for step in self._captured if step.batch_size >= rows), None)

    def replay(self, step: CapturedStep, spans: Sequence[QuerySpan], token_ids: Sequence[int]) -> torch.Tensor:
        """Logits ``[spans, vocab]``, valid until the next replay."""
        cache = self._cache
        spare = step.batch_size - len(spans)
        scratch = [cache.slots * cache.length + row for row in range(spare)]
        inputs = [
            [*token_ids, *[0] * spare],
            [*(span.start for span in spans), *[0] * spare],
            [*(cache.cell(span.slot, span.start) for span in spans), *scratch],
            [*(cache.cell(span.slot, 0) for span in spans), *scratch],
            [*(span.end for span in spans), *[1] * spare],
        ]
        step.inputs.copy_(torch.tensor(inputs, dtype=torch.int64, pin_memory=True), non_blocking=True)
        step.graph.replay()
        return step.logits[: len(spans)]

    @torch.inference_mode()
    def _capture(self, batch_size: int) -> CapturedStep:
        inputs = torch.zeros(5, batch_size, dtype=torch.int64, device=self._device)
        scratch = self._cache.slots * self._cache.length + torch.arange(batch_size, device=self._device)
        inputs[SLOT_MAPPING], inputs[CU_SEQLENS_K], inputs[SEQUSED_K] = scratch, scratch, 1
        beside = torch.cuda.Stream(self._device)
        beside.wait_stream(torch.cuda.current_stream(self._device))
        with torch.cuda.stream(beside):
            for _ in range(WARM_UP_RUNS):
                self._run(inputs)
        torch.cuda.current_stream(self._device).wait_stream(beside)
        graph = torch.cuda.CUDAGraph()
        shared_pool = self._captured[0].graph.pool() if self._captured else None
        with torch.cuda.graph(graph, pool=shared_pool):
            logits = self._run(inputs)
        return CapturedStep(batch_size, graph, inputs, logits)

    def _run(self, inputs: torch.Tensor) -> torch.Tensor:
        batch_size = inputs.shape[1]
        key_starts = inputs[CU_SEQLENS_K].int()
        plan = FlashAttentionPlan(
            cu_seqlens_q=torch.arange(batch_size + 1, dtype=torch.int32, device=inputs.device),
            cu_seqlens_k=torch.cat((key_starts, key_starts[-1:])),
            seqused_k=inputs[SEQUSED_K].int(),
            max_seqlen_q=1,
            max_seqlen_k=self._cache.length,
        )
        output = self._model(
            input_ids=inputs[INPUT_IDS : INPUT_IDS + 1],
            position_ids=inputs[POSITION_IDS : POSITION_IDS + 1],
            use_cache=False,
            batch=Batch((), inputs[SLOT_MAPPING], plan),
        )
        logits: torch.Tensor = output.logits[0]
        return logits
