"""The attention function our engine gives to transformers, one class per kind of device.

All tokens of a step travel as one packed row. A :class:`Batch` says which slot and position each belongs to; the
attention function stores their keys and values in the cache and lets each see its own slot up to itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any, Protocol

import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface

from qwen_app.engine.kv_cache import KVCache

NAME = "qwen_slots"  # unknown to transformers' mask registry, so models build no mask


@dataclass(frozen=True, slots=True)
class Segment:
    """Consecutive new tokens of one slot: positions ``start`` to ``start + length``."""

    slot: int
    start: int
    length: int

    @property
    def end(self) -> int:
        return self.start + self.length


@dataclass(slots=True)
class Batch:
    """One packed forward pass: ``cells`` int64 ``[tokens]`` is each token's place in the cache."""

    segments: Sequence[Segment]
    cells: torch.Tensor
    plan: Any = None
    _copies: dict[torch.device, Batch] = field(default_factory=dict)

    def on(self, device: torch.device, attention: Attention) -> Batch:
        """The same batch for a layer on another device; layers of one model may lie on several."""
        if self.cells.device == device:
            return self
        if device not in self._copies:
            copy = Batch(self.segments, self.cells.to(device))
            copy.plan = attention.plan(copy)
            self._copies[device] = copy
        return self._copies[device]


class Attention(Protocol):
    """``plan`` runs once a step, ``attend`` once a layer. Query is ``[heads, tokens, head_dim]``; so is the result,
    with tokens first."""

    def plan(self, batch: Batch) -> Any: ...

    def attend(self, query: torch.Tensor, layer: int, batch: Batch, scaling: float) -> torch.Tensor: ...


class SdpaAttention:
    """PyTorch's scaled dot product attention. Query heads that share a KV head become rows over it: KV never grows."""

    def __init__(self, cache: KVCache) -> None:
        self._cache = cache

    def plan(self, batch: Batch) -> list[_Group]:
        decoding = list(takewhile(lambda segment: segment.length == 1, batch.segments))
        groups = [_together_group(decoding, batch)] if _together(decoding) else []
        first = sum(group.tokens for group in groups)
        for segment in batch.segments[first:]:
            groups.append(_Group(first, segment.length, segment.slot, 1, segment.end, _causal(segment, batch)))
            first += segment.length
        return groups

    def attend(self, query: torch.Tensor, layer: int, batch: Batch, scaling: float) -> torch.Tensor:
        outputs = [self._attend_group(query, layer, group, scaling) for group in batch.plan]
        return outputs[0] if len(outputs) == 1 else torch.cat(outputs)

    def _attend_group(self, query: torch.Tensor, layer: int, group: _Group, scaling: float) -> torch.Tensor:
        cache = self._cache
        heads, head_dim = query.shape[0], query.shape[2]
        share = heads // cache.shape.heads
        own = query[:, group.first : group.first + group.tokens]
        slots = slice(group.slot, group.slot + group.slots)
        keys, values = cache.slot_keys[layer][slots, :, : group.end], cache.slot_values[layer][slots, :, : group.end]
        if group.rows is None:
            packed = own.reshape(1, cache.shape.heads, share * group.tokens, head_dim)
        else:
            packed = own.new_zeros(group.slots, cache.shape.heads, share, head_dim)
            packed[group.rows] = own.transpose(0, 1).reshape(group.tokens, cache.shape.heads, share, head_dim)
        mask = group.mask if group.mask is None or group.rows is not None else group.mask.repeat(share, 1)
        out = scaled_dot_product_attention(packed, keys, values, attn_mask=mask, scale=scaling)
        if group.rows is None:
            return out.reshape(heads, group.tokens, head_dim).transpose(0, 1)
        return out[group.rows].reshape(group.tokens, heads, head_dim)


@dataclass(frozen=True, slots=True)
class _Group:
    """Tokens attended in one call: ``tokens`` packed ones from ``first``, over ``slots`` slots from ``slot``.

    ``rows``, where there is more than one slot: int64, each token's slot counted from ``slot``.
    """

    first: int
    tokens: int
    slot: int
    slots: int
    end: int
    mask: torch.Tensor | None
    rows: torch.Tensor | None = None


def _together(decoding: Sequence[Segment]) -> bool:
    """Whether one call over all slots in between, padded to the longest, is less work than a call a row."""
    if len(decoding) < 2:
        return False
    slots = [segment.slot for segment in decoding]
    padded = (max(slots) - min(slots) + 1) * max(segment.end for segment in decoding)
    call_cost_tokens = 256  # a call costs about as much as reading the keys of so many tokens
    return padded <= sum(segment.end + call_cost_tokens for segment in decoding)


def _together_group(decoding: Sequence[Segment], batch: Batch) -> _Group:
    slot = min(segment.slot for segment in decoding)
    slots = max(segment.slot for segment in decoding) - slot + 1
    end = max(segment.end for segment in decoding)
    visible = torch.ones(slots, dtype=torch.int64)  # an idle slot in between sees one cell: no row is empty
    for segment in decoding:
        visible[segment.slot - slot] = segment.end
    mask = (torch.arange(end) < visible[:, None])[:, None, None].to(batch.cells.device)
    rows = torch.tensor([segment.slot - slot for segment in decoding], device=batch.cells.device)
    return _Group(0, len(decoding), slot, slots, end, mask, rows)


def _causal(segment: Segment, batch: Batch) -> torch.Tensor | None:
    """``[length, end]``: each new token sees its slot up to itself."""
    if segment.length == 1:
        return None
    device = batch.cells.device
    rows = torch.arange(segment.start, segment.end, device=device)
    return torch.arange(segment.end, device=device) <= rows[:, None]


def use(model: Any, cache: KVCache, attention: Attention) -> None:
    """Make ``model`` attend through ``attention``. Its forward then takes the keyword argument ``batch``."""

    def attend(
        module: Any,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        attention_mask: torch.Tensor | None,
        *,
        scaling: float,
        batch: Batch,
        **_: Any,
    ) -> tuple[torch.Tensor, None]:
        layer = module.layer_idx
        batch = batch.on(key.device, attention)
        cache.keys[layer].index_copy_(0, batch.cells, key[0].transpose(0, 1))
        cache.values[layer].index_copy_(0, batch.cells, value[0].transpose(0, 1))
        return attention.attend(query[0], layer, batch, scaling)[None], None

    name = f"{NAME}_{id(cache)}"  # several engines may live in one process
    AttentionInterface.register(name, attend)
    model.config._attn_implementation = name
