"""Attention on CUDA: PyTorch's variable-length flash attention over the slots, and the check that it is right."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

import torch

from qwen_app.engine.local.compute.attention import Attention, Batch, SdpaAttention, Segment
from qwen_app.engine.local.compute.kv_cache import KVCache

log = logging.getLogger(__name__)

TOLERANCE = 2e-2  # half precision, values of order one
CAUSAL = (-1, 0)


@dataclass(slots=True)
class Offsets:
    """int32 on one device. Queries of segment ``i`` are ``queries[i]`` to ``queries[i + 1]``; its keys begin at cell
    ``keys[i]``, of which the first ``used[i]`` count."""

    queries: torch.Tensor
    keys: torch.Tensor
    used: torch.Tensor
    longest_query: int
    longest_key: int


class VarlenAttention:
    """``torch.nn.attention.varlen``: slots are offsets into one buffer, query heads share KV heads in the kernel."""

    def __init__(self, cache: KVCache) -> None:
        from torch.nn.attention.varlen import varlen_attn

        self._cache = cache
        self._varlen_attn: Any = varlen_attn

    def plan(self, batch: Batch) -> Offsets:
        segments = batch.segments
        queries = [0]
        for segment in segments:
            queries.append(queries[-1] + segment.length)
        first_cells = [self._cache.cell(segment.slot, 0) for segment in segments]
        return Offsets(
            queries=_int32(queries, batch.cells),
            keys=_int32([*first_cells, first_cells[-1] + segments[-1].end], batch.cells),
            used=_int32([segment.end for segment in segments], batch.cells),
            longest_query=max(segment.length for segment in segments),
            longest_key=max(segment.end for segment in segments),
        )

    def attend(self, query: torch.Tensor, layer: int, batch: Batch, scaling: float) -> torch.Tensor:
        offsets: Offsets = batch.plan
        out: torch.Tensor = self._varlen_attn(
            query.transpose(0, 1),
            self._cache.keys[layer],
            self._cache.values[layer],
            offsets.queries,
            offsets.keys,
            offsets.longest_query,
            offsets.longest_key,
            scale=scaling,
            window_size=CAUSAL,
            enable_gqa=True,
            seqused_k=offsets.used,
        )
        return out


def _int32(values: list[int], like: torch.Tensor) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.int32, pin_memory=like.is_cuda).to(like.device, non_blocking=True)


def choose_attention(cache: KVCache, query_heads: int) -> Attention:
    """Flash attention where it works here and agrees with plain attention, else plain attention."""
    plain = SdpaAttention(cache, query_heads)
    if not cache.keys[0].is_cuda:
        return plain
    try:
        flash = VarlenAttention(cache)
        difference = _difference(flash, plain, cache, query_heads)
    except Exception as unusable:  # any card, driver or dtype the kernel was not built for
        log.warning("flash attention is not usable here (%s); plain attention serves instead", unusable)
        return plain
    if not difference < TOLERANCE:
        log.warning("flash attention differs from plain attention by %.3f; plain attention serves instead", difference)
        return plain
    return flash


@torch.inference_mode()
def _difference(flash: Attention, plain: Attention, cache: KVCache, query_heads: int) -> float:
    """Largest difference between the two over one decoding row and one chunk, on random keys and values."""
    segments = [Segment(0, min(40, cache.length - 1), 1), Segment(cache.slots - 1, min(7, cache.length - 5), 5)]
    segments = segments[: cache.slots]
    keys, values = cache.keys[0], cache.values[0]
    keys.normal_()
    values.normal_()
    tokens = sum(segment.length for segment in segments)
    query = torch.randn(query_heads, tokens, cache.shape.head_dim, device=keys.device, dtype=keys.dtype)
    cells = torch.zeros(tokens, dtype=torch.int64, device=keys.device)
    outputs = []
    for attention in (flash, plain):
        batch = Batch(segments, cells)
        batch.plan = attention.plan(batch)
        outputs.append(attention.attend(query, 0, batch, cache.shape.head_dim**-0.5).float())
    keys.zero_()
    values.zero_()
    return float((outputs[0] - outputs[1]).abs().max())
