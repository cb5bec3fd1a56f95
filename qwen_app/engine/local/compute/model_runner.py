"""One forward pass: packed tokens in, logits out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from qwen_app.engine.local.compute.attention import Attention, Batch, Segment
from qwen_app.engine.local.compute.cuda_graphs import DecodeGraphs
from qwen_app.engine.local.compute.kv_cache import KVCache


@dataclass(frozen=True, slots=True)
class Work:
    """Tokens to compute for one slot. ``wants_logits`` for its last token: False inside a prompt."""

    segment: Segment
    token_ids: Sequence[int]
    wants_logits: bool


class Runner:
    """Runs the model over packed tokens. ``device`` is where ids go in. ``graphs``, if any, replay decode steps."""

    def __init__(
        self,
        model: Any,
        cache: KVCache,
        attention: Attention,
        device: torch.device,
        graphs: DecodeGraphs | None = None,
    ) -> None:
        self._model = model
        self._cache = cache
        self._attention = attention
        self._device = device
        self._graphs = graphs

    def prepare(self) -> bool:
        """Do a piece of the preparation that must not delay answers. False when nothing is left to do."""
        return self._graphs is not None and self._graphs.record_next()

    @torch.inference_mode()
    def forward(self, works: Sequence[Work]) -> torch.Tensor:
        """Logits ``[works that want them, vocab]``, in their order. Keys and values land in the cache."""
        segments = [work.segment for work in works]
        decoding = all(work.wants_logits and work.segment.length == 1 for work in works)
        recording = self._graphs.fitting(len(works)) if self._graphs and decoding else None
        if self._graphs and recording:
            return self._graphs.replay(recording, segments, [work.token_ids[0] for work in works])
        packed = self._packed(works)
        batch = Batch(segments, packed[2])
        batch.plan = self._attention.plan(batch)
        output = self._model(
            input_ids=packed[0:1],
            position_ids=packed[1:2],
            use_cache=False,
            logits_to_keep=self._last_tokens(works),
            batch=batch,
        )
        logits: torch.Tensor = output.logits[0]
        if any(work.wants_logits for work in works):
            return logits
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)  # nothing else waits for such a step, and its time has to be known
        return logits[:0]

    def _packed(self, works: Sequence[Work]) -> torch.Tensor:
        """int64 ``[3, tokens]``: ids, positions and cells, in one transfer."""
        ids = [token_id for work in works for token_id in work.token_ids]
        segments = [work.segment for work in works]
        positions = [position for segment in segments for position in range(segment.start, segment.end)]
        cells = [
            cell
            for segment in segments
            for cell in range(
                self._cache.cell(segment.slot, segment.start), self._cache.cell(segment.slot, segment.end)
            )
        ]
        return self._to_device([ids, positions, cells])

    def _last_tokens(self, works: Sequence[Work]) -> torch.Tensor:
        last, end = [], 0
        for work in works:
            end += work.segment.length
            if work.wants_logits:
                last.append(end - 1)
        return self._to_device(last or [end - 1])  # the model's head needs a row, wanted or not

    def _to_device(self, values: Any) -> torch.Tensor:
        host = torch.tensor(values, dtype=torch.int64, pin_memory=self._device.type == "cuda")
        return host.to(self._device, non_blocking=True)
