"""Decode steps recorded once and replayed, so that a small batch is not held up by launching kernels one by one."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from qwen_app.engine.local.compute.attention import Batch, Segment
from qwen_app.engine.local.compute.flash_attention import Offsets
from qwen_app.engine.local.compute.kv_cache import SCRATCH_CELLS, KVCache

log = logging.getLogger(__name__)

ROWS = (1, 2, 4, 8)
WARM_UP_RUNS = 3
IDS, POSITIONS, CELLS, KEYS, USED = range(5)


@dataclass(frozen=True, slots=True)
class Recording:
    """A captured step of ``rows`` tokens: int64 ``inputs`` ``[5, rows]`` in, ``logits`` ``[rows, vocab]`` out."""

    rows: int
    graph: torch.cuda.CUDAGraph
    inputs: torch.Tensor
    logits: torch.Tensor


class DecodeGraphs:
    """Steps of one token a row, recorded up to the logits. Rows that a step leaves empty write to scratch cells.

    Nothing is recorded before ``record_next``, which the worker calls when it has nothing else to do: recording never
    delays an answer.
    """

    def __init__(self, model: Any, cache: KVCache, device: torch.device) -> None:
        self._model = model
        self._cache = cache
        self._device = device
        self._missing = [rows for rows in ROWS if rows <= max(cache.slots, 1) and rows <= SCRATCH_CELLS]
        self._recordings: list[Recording] = []
        self._pool: Any = None

    def record_next(self) -> bool:
        """Record one more size. False when all are there."""
        if not self._missing:
            return False
        rows = self._missing.pop(0)
        try:
            self._recordings.append(self._record(rows))
        except Exception as refused:  # a model with a step that cannot be captured runs as it did before
            log.warning("steps of %d rows cannot be recorded (%s); they run unrecorded", rows, refused)
            self._missing.clear()
        return True

    def fitting(self, rows: int) -> Recording | None:
        """The smallest recording for a step of ``rows`` tokens, None where it has to run unrecorded."""
        return next((found for found in self._recordings if found.rows >= rows), None)

    def replay(self, recording: Recording, segments: Sequence[Segment], token_ids: Sequence[int]) -> torch.Tensor:
        """Logits ``[segments, vocab]``, valid until the next replay."""
        cache = self._cache
        spare = recording.rows - len(segments)
        scratch = [cache.slots * cache.length + row for row in range(spare)]
        values = [
            [*token_ids, *[0] * spare],
            [*(segment.start for segment in segments), *[0] * spare],
            [*(cache.cell(segment.slot, segment.start) for segment in segments), *scratch],
            [*(cache.cell(segment.slot, 0) for segment in segments), *scratch],
            [*(segment.end for segment in segments), *[1] * spare],
        ]
        recording.inputs.copy_(torch.tensor(values, dtype=torch.int64, pin_memory=True), non_blocking=True)
        recording.graph.replay()
        return recording.logits[: len(segments)]

    @torch.inference_mode()
    def _record(self, rows: int) -> Recording:
        inputs = torch.zeros(5, rows, dtype=torch.int64, device=self._device)
        scratch = self._cache.slots * self._cache.length + torch.arange(rows, device=self._device)
        inputs[CELLS], inputs[KEYS], inputs[USED] = scratch, scratch, 1
        beside = torch.cuda.Stream(self._device)
        beside.wait_stream(torch.cuda.current_stream(self._device))
        with torch.cuda.stream(beside):
            for _ in range(WARM_UP_RUNS):
                self._run(inputs)
        torch.cuda.current_stream(self._device).wait_stream(beside)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self._pool):
            logits = self._run(inputs)
        self._pool = self._pool or graph.pool()
        return Recording(rows, graph, inputs, logits)

    def _run(self, inputs: torch.Tensor) -> torch.Tensor:
        rows = inputs.shape[1]
        keys = inputs[KEYS].int()
        queries = torch.arange(rows + 1, dtype=torch.int32, device=inputs.device)
        offsets = Offsets(queries, torch.cat((keys, keys[-1:])), inputs[USED].int(), 1, self._cache.length)
        output = self._model(
            input_ids=inputs[IDS : IDS + 1],
            position_ids=inputs[POSITIONS : POSITIONS + 1],
            use_cache=False,
            batch=Batch((), inputs[CELLS], offsets),
        )
        logits: torch.Tensor = output.logits[0]
        return logits
