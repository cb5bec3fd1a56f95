"""Model runner: one forward pass, packed tokens in, logits out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from transformers import PreTrainedModel

from qwen_app.engine.local.compute.attention import Attention, Batch, QuerySpan
from qwen_app.engine.local.compute.cuda_graphs import DecodeGraphs
from qwen_app.engine.local.compute.kv_cache import KVCache


@dataclass(frozen=True, slots=True)
class ScheduledChunk:
    """Tokens to compute for one slot. ``wants_logits`` for its last token: False inside a prompt."""

    span: QuerySpan
    token_ids: Sequence[int]
    wants_logits: bool


class ModelRunner:
    """Runs the model over packed tokens. ``device`` is where ids go in. ``graphs``, if any, replay decode steps."""

    def __init__(
        self,
        model: PreTrainedModel,
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
        return self._graphs is not None and self._graphs.capture_next()

    @torch.inference_mode()
    def forward(self, chunks: Sequence[ScheduledChunk]) -> torch.Tensor:
        """Logits ``[chunks that want them, vocab]``, in their order. Keys and values land in the cache."""
        spans = [chunk.span for chunk in chunks]
        decoding = all(chunk.wants_logits and chunk.span.length == 1 for chunk in chunks)
        captured = self._graphs.fitting(len(chunks)) if self._graphs and decoding else None
        if self._graphs and captured:
            return self._graphs.replay(captured, spans, [chunk.token_ids[0] for chunk in chunks])
        input_ids, position_ids, slot_mapping = self._packed(chunks)
        batch = Batch(spans, slot_mapping)
        batch.plan = self._attention.plan(batch)
        # In every layer transformers calls the function that attention.use() registered, with this batch, and that
        # one calls Attention.attend: keys and values are stored and read there.
        output = self._model(
            input_ids=input_ids[None],
            position_ids=position_ids[None],
            use_cache=False,
            logits_to_keep=self._last_tokens(chunks),
            batch=batch,
        )
        logits: torch.Tensor = output.logits[0]
        if any(chunk.wants_logits for chunk in chunks):
            return logits
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)  # nothing else waits for such a step, and its time has to be known
        return logits[:0]

    def _packed(self, chunks: Sequence[ScheduledChunk]) -> torch.Tensor:
        """int64 ``[3, tokens]``: ids, positions and cells, in one transfer."""
        token_ids = [token_id for chunk in chunks for token_id in chunk.token_ids]
        spans = [chunk.span for chunk in chunks]
        positions = [position for span in spans for position in range(span.start, span.end)]
        slot_mapping = [
            cell
            for span in spans
            for cell in range(self._cache.cell(span.slot, span.start), self._cache.cell(span.slot, span.end))
        ]
        return self._to_device([token_ids, positions, slot_mapping])

    def _last_tokens(self, chunks: Sequence[ScheduledChunk]) -> torch.Tensor:
        last, end = [], 0
        for chunk in chunks:
            end += chunk.span.length
            if chunk.wants_logits:
                last.append(end - 1)
        return self._to_device(last or [end - 1])  # the model's head needs a row, wanted or not

    def _to_device(self, values: Sequence[int] | Sequence[Sequence[int]]) -> torch.Tensor:
        host = torch.tensor(values, dtype=torch.int64, pin_memory=self._device.type == "cuda")
        return host.to(self._device, non_blocking=True)
