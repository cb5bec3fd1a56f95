"""Attention by PyTorch's scaled dot product, on any device: what a CPU runs, and what flash attention must equal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

import torch
from torch.nn.functional import scaled_dot_product_attention

from qwen_app.engine.local.attention.batch import Batch, QuerySpan
from qwen_app.engine.local.attention.kv_cache import KVCache

ALIGNED_NUMBERS = 8  # of a mask, for the kernel of a card that saves memory


class SdpaAttention:
    """PyTorch's scaled dot product attention. Query heads that share a KV head become rows over it: KV never grows.

    Masks are added to the scores and made once a step; a mask of yes and no would be turned into one in every layer.
    """

    def __init__(self, cache: KVCache, query_heads: int) -> None:
        self.cache = cache
        self._share = query_heads // cache.shape.heads

    def plan(self, batch: Batch) -> SdpaPlan:
        return SdpaPlan(self.groups(batch.spans, 0, batch.slot_mapping.device))

    def groups(self, spans: Sequence[QuerySpan], first: int, device: torch.device) -> tuple[_Group, ...]:
        """The calls for ``spans``, whose tokens are packed from the ``first`` on."""
        decoding = list(takewhile(lambda span: span.length == 1, spans))
        groups = [self._together_group(decoding, first, device)] if _together(decoding) else []
        for span in spans[len(decoding) if groups else 0 :]:
            mask = self._causal(span, device) if span.length > 1 else None
            done = sum(group.tokens for group in groups)
            groups.append(_Group(first + done, span.length, span.slot, 1, span.end, mask))
        return tuple(groups)

    def _together_group(self, decoding: Sequence[QuerySpan], first: int, device: torch.device) -> _Group:
        slot = min(span.slot for span in decoding)
        slots = max(span.slot for span in decoding) - slot + 1
        end = max(span.end for span in decoding)
        visible = torch.ones(slots, dtype=torch.int64)  # an idle slot in between sees one cell: no row is empty
        for span in decoding:
            visible[span.slot - slot] = span.end
        mask = self._added((torch.arange(end) < visible[:, None])[:, None, None].to(device))
        places = [span.slot - slot for span in decoding]
        rows = None if places == list(range(slots)) else torch.tensor(places, device=device)
        return _Group(first, len(decoding), slot, slots, end, mask, rows)

    def _causal(self, span: QuerySpan, device: torch.device) -> torch.Tensor:
        """``[share * length, end]``: each new token sees its slot up to itself.

        Its rows begin at whole multiples of ``ALIGNED_NUMBERS``: every layer would make a copy that does, on a card.
        """
        rows = torch.arange(span.start, span.end, device=device)
        columns = -(-span.end // ALIGNED_NUMBERS) * ALIGNED_NUMBERS
        visible = torch.arange(columns, device=device) <= rows[:, None]
        return self._added(visible).repeat(self._share, 1)[:, : span.end]

    def _added(self, visible: torch.Tensor) -> torch.Tensor:
        """0 where ``visible``, else minus infinity."""
        mask = torch.zeros(visible.shape, dtype=self.cache.shape.dtype, device=visible.device)
        return mask.masked_fill_(~visible, -torch.inf)

    def attend(self, query: torch.Tensor, layer: int, batch: Batch, scaling: float) -> torch.Tensor:
        assert isinstance(batch.plan, SdpaPlan)
        outputs = self.attended(query, layer, batch.plan, scaling)
        return outputs[0] if len(outputs) == 1 else torch.cat(outputs)

    def attended(self, query: torch.Tensor, layer: int, plan: SdpaPlan, scaling: float) -> list[torch.Tensor]:
        """The output of each call of ``plan``."""
        outputs = []
        for group in plan.groups:
            own = query[:, group.first : group.first + group.tokens]
            attended = self._in_one_slot if group.slots == 1 else self._in_many_slots
            outputs.append(attended(own, layer, group, scaling))
        return outputs

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
        keys = self.cache.slot_keys[layer][slots, :, : group.end]
        values = self.cache.slot_values[layer][slots, :, : group.end]
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
