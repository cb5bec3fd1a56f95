"""Attention over slots: the function our engine gives to transformers, and how it runs on a CPU.

All tokens of a step travel as one packed row. A :class:`Batch` says which slot and position each belongs to; the
attention function stores their keys and values in the cache and lets each see its own slot up to itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Protocol

import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, PreTrainedModel

from qwen_app.engine.local.compute.kv_cache import KVCache

NAME = "qwen_slots"  # unknown to transformers' mask registry, so models build no mask


@dataclass(frozen=True, slots=True)
class QuerySpan:
    """Consecutive new tokens of one slot, whose queries are computed: positions ``start`` to ``start + length``."""

    slot: int
    start: int
    length: int

    @property
    def end(self) -> int:
        return self.start + self.length


@dataclass(slots=True)
class Batch:
    """One packed forward pass: ``slot_mapping`` int64 ``[tokens]`` is each token's cell in the cache.

    ``plan`` is what ``Attention.plan`` made of it, and means something to that attention alone.
    """

    spans: Sequence[QuerySpan]
    slot_mapping: torch.Tensor
    plan: object = None
    _copies: dict[torch.device, Batch] = field(default_factory=dict)

    def on(self, device: torch.device, attention: Attention) -> Batch:
        """The same batch for a layer on another device; layers of one model may lie on several."""
        if self.slot_mapping.device == device:
            return self
        if device not in self._copies:
            copy = Batch(self.spans, self.slot_mapping.to(device))
            copy.plan = attention.plan(copy)
            self._copies[device] = copy
        return self._copies[device]


class Attention(Protocol):
    """``plan`` runs once a step, ``attend`` once a layer. Query is ``[heads, tokens, head_dim]``; so is the result,
    with tokens first."""

    def plan(self, batch: Batch) -> object: ...

    def attend(self, query: torch.Tensor, layer: int, batch: Batch, scaling: float) -> torch.Tensor: ...


class SdpaAttention:
    """PyTorch's scaled dot product attention. Query heads that share a KV head become rows over it: KV never grows.

    Masks are added to the scores and made once a step; a mask of yes and no would be turned into one in every layer.
    """

    def __init__(self, cache: KVCache, query_heads: int) -> None:
        self._cache = cache
        self._share = query_heads // cache.shape.heads

    def plan(self, batch: Batch) -> SdpaPlan:
        decoding = list(takewhile(lambda span: span.length == 1, batch.spans))
        groups = [self._together_group(decoding, batch)] if _together(decoding) else []
        first = sum(group.tokens for group in groups)
        for span in batch.spans[first:]:
            mask = self._causal(span, batch) if span.length > 1 else None
            groups.append(_Group(first, span.length, span.slot, 1, span.end, mask))
            first += span.length
        return SdpaPlan(tuple(groups))

    def _together_group(self, decoding: Sequence[QuerySpan], batch: Batch) -> _Group:
        slot = min(span.slot for span in decoding)
        slots = max(span.slot for span in decoding) - slot + 1
        end = max(span.end for span in decoding)
        visible = torch.ones(slots, dtype=torch.int64)  # an idle slot in between sees one cell: no row is empty
        for span in decoding:
            visible[span.slot - slot] = span.end
        mask = self._added((torch.arange(end) < visible[:, None])[:, None, None].to(batch.slot_mapping.device))
        places = [span.slot - slot for span in decoding]
        rows = None if places == list(range(slots)) else torch.tensor(places, device=batch.slot_mapping.device)
        return _Group(0, len(decoding), slot, slots, end, mask, rows)

    def _causal(self, span: QuerySpan, batch: Batch) -> torch.Tensor:
        """``[share * length, end]``: each new token sees its slot up to itself."""
        device = batch.slot_mapping.device
        rows = torch.arange(span.start, span.end, device=device)
        return self._added(torch.arange(span.end, device=device) <= rows[:, None]).repeat(self._share, 1)

    def _added(self, visible: torch.Tensor) -> torch.Tensor:
        """0 where ``visible``, else minus infinity."""
        mask = torch.zeros(visible.shape, dtype=self._cache.shape.dtype, device=visible.device)
        return mask.masked_fill_(~visible, -torch.inf)

    def attend(self, query: torch.Tensor, layer: int, batch: Batch, scaling: float) -> torch.Tensor:
        assert isinstance(batch.plan, SdpaPlan)
        outputs = []
        for group in batch.plan.groups:
            own = query[:, group.first : group.first + group.tokens]
            attended = self._in_one_slot if group.slots == 1 else self._in_many_slots
            outputs.append(attended(own, layer, group, scaling))
        return outputs[0] if len(outputs) == 1 else torch.cat(outputs)

    def _in_one_slot(self, own: torch.Tensor, layer: int, group: _Group, scaling: float) -> torch.Tensor:
        heads, tokens, head_dim = own.shape
        packed = own.reshape(1, heads // self._share, self._share * tokens, head_dim)
        return self._sdpa(packed, layer, group, scaling).reshape(heads, tokens, head_dim).transpose(0, 1)

    def _in_many_slots(self, own: torch.Tensor, layer: int, group: _Group, scaling: float) -> torch.Tensor:
        heads, tokens, head_dim = own.shape
        packed = own.transpose(0, 1).reshape(tokens, heads // self._share, self._share, head_dim)
        if group.rows is None:
            return self._sdpa(packed, layer, group, scaling).reshape(tokens, heads, head_dim)
        spread = packed.new_zeros(group.slots, *packed.shape[1:])
        spread[group.rows] = packed
        return self._sdpa(spread, layer, group, scaling)[group.rows].reshape(tokens, heads, head_dim)

    def _sdpa(self, packed: torch.Tensor, layer: int, group: _Group, scaling: float) -> torch.Tensor:
        """``packed``: ``[slots, kv heads, rows over that head, head_dim]``; so is the result."""
        slots = slice(group.slot, group.slot + group.slots)
        keys = self._cache.slot_keys[layer][slots, :, : group.end]
        values = self._cache.slot_values[layer][slots, :, : group.end]
        packed = packed.contiguous()  # or the fused kernel is not taken
        return scaled_dot_product_attention(packed, keys, values, attn_mask=group.mask, scale=scaling)


@dataclass(frozen=True, slots=True)
class _Group:
    """Tokens attended in one call: ``tokens`` packed ones from ``first``, over ``slots`` slots from ``slot``.

    ``rows``: int64, each token's slot counted from ``slot``; None where they are one slot, or all slots in order.
    """

    first: int
    tokens: int
    slot: int
    slots: int
    end: int
    mask: torch.Tensor | None
    rows: torch.Tensor | None = None


@dataclass(frozen=True, slots=True)
class SdpaPlan:
    """The calls that make up a step, in the order of their tokens."""

    groups: tuple[_Group, ...]


def _together(decoding: Sequence[QuerySpan]) -> bool:
    """Whether one call over all slots in between, padded to the longest, is less work than a call a row."""
    if len(decoding) < 2:
        return False
    slots = [span.slot for span in decoding]
    padded = (max(slots) - min(slots) + 1) * max(span.end for span in decoding)
    call_cost_tokens = 256  # a call costs about as much as reading the keys of so many tokens
    return padded <= sum(span.end + call_cost_tokens for span in decoding)


class _AttentionLayer(Protocol):
    """transformers' attention module; every model numbers its layers."""

    layer_idx: int


def use(model: PreTrainedModel, cache: KVCache, attention: Attention) -> None:
    """Make ``model`` attend through ``attention``. Its forward then takes the keyword argument ``batch``."""

    def attend(
        module: _AttentionLayer,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        attention_mask: torch.Tensor | None,
        *,
        scaling: float,
        batch: Batch,
        **_: object,
    ) -> tuple[torch.Tensor, None]:
        """Called by transformers in every layer; query, key and value are ``[1, heads, tokens, head_dim]``."""
        layer = module.layer_idx
        batch = batch.on(key.device, attention)
        cache.keys[layer].index_copy_(0, batch.slot_mapping, key[0].transpose(0, 1))
        cache.values[layer].index_copy_(0, batch.slot_mapping, value[0].transpose(0, 1))
        return attention.attend(query[0], layer, batch, scaling)[None], None

    name = f"{NAME}_{id(cache)}"  # several engines may live in one process
    AttentionInterface.register(name, attend)
    model.set_attn_implementation(name)
