"""Flash attention: PyTorch's variable-length kernel over the slots on CUDA, and the check that it is right."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import torch

from qwen_app.engine.local.compute.attention import Attention, Batch, QuerySpan, SdpaAttention
from qwen_app.engine.local.compute.kv_cache import KVCache

log = logging.getLogger(__name__)

TOLERANCE = 2e-2  # half precision, values of order one
CAUSAL = (-1, 0)


@dataclass(slots=True)
class FlashAttentionPlan:
    """What the kernel is told of a step; tensors are int32 ``[spans + 1]`` (``seqused_k``: ``[spans]``) on one device.

    Queries of span ``i`` are ``cu_seqlens_q[i]`` to ``cu_seqlens_q[i + 1]``; its keys begin at cell
    ``cu_seqlens_k[i]``, of which the first ``seqused_k[i]`` count.
    """

    cu_seqlens_q: torch.Tensor
    cu_seqlens_k: torch.Tensor
    seqused_k: torch.Tensor
    max_seqlen_q: int
    max_seqlen_k: int


class FlashAttention:
    """``torch.nn.attention.varlen``: slots are offsets into one buffer, query heads share KV heads in the kernel."""

    def __init__(self, cache: KVCache) -> None:
        from torch.nn.attention.varlen import varlen_attn

        self._cache = cache
        self._varlen_attn = varlen_attn

    def plan(self, batch: Batch) -> FlashAttentionPlan:
        spans = batch.spans
        query_starts = [0]
        for span in spans:
            query_starts.append(query_starts[-1] + span.length)
        first_cells = [self._cache.cell(span.slot, 0) for span in spans]
        return FlashAttentionPlan(
            cu_seqlens_q=_int32(query_starts, batch.slot_mapping),
            cu_seqlens_k=_int32([*first_cells, first_cells[-1] + spans[-1].end], batch.slot_mapping),
            seqused_k=_int32([span.end for span in spans], batch.slot_mapping),
            max_seqlen_q=max(span.length for span in spans),
            max_seqlen_k=max(span.end for span in spans),
        )

    def attend(self, query: torch.Tensor, layer: int, batch: Batch, scaling: float) -> torch.Tensor:
        plan = batch.plan
        assert isinstance(plan, FlashAttentionPlan)
        out = self._varlen_attn(
            query.transpose(0, 1),
            self._cache.keys[layer],
            self._cache.values[layer],
            plan.cu_seqlens_q,
            plan.cu_seqlens_k,
            plan.max_seqlen_q,
            plan.max_seqlen_k,
            scale=scaling,
            window_size=CAUSAL,
            enable_gqa=True,
            seqused_k=plan.seqused_k,
        )
        assert isinstance(out, torch.Tensor)  # a pair only where more was asked of the kernel
        return out


def _int32(values: list[int], like: torch.Tensor) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.int32, pin_memory=like.is_cuda).to(like.device, non_blocking=True)


def choose_attention(cache: KVCache, query_heads: int) -> Attention:
    """Flash attention where it works here and agrees with plain attention, else plain attention."""
    plain = SdpaAttention(cache, query_heads)
    if not cache.keys[0].is_cuda:
        return plain
    try:
        flash = FlashAttention(cache)
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
    spans = [QuerySpan(0, min(40, cache.length - 1), 1), QuerySpan(cache.slots - 1, min(7, cache.length - 5), 5)]
    spans = spans[: cache.slots]
    keys, values = cache.keys[0], cache.values[0]
    keys.normal_()
    values.normal_()
    tokens = sum(span.length for span in spans)
    query = torch.randn(query_heads, tokens, cache.shape.head_dim, device=keys.device, dtype=keys.dtype)
    slot_mapping = torch.zeros(tokens, dtype=torch.int64, device=keys.device)
    outputs = []
    for attention in (flash, plain):
        batch = Batch(spans, slot_mapping)
        batch.plan = attention.plan(batch)
        outputs.append(attention.attend(query, 0, batch, cache.shape.head_dim**-0.5).float())
    keys.zero_()
    values.zero_()
    return float((outputs[0] - outputs[1]).abs().max())
