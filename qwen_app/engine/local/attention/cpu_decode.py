"""Attention on a CPU with our own kernel for decoding rows; pieces of prompts by PyTorch's."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import takewhile

import torch

from qwen_app.engine.local.attention.batch import Batch, QuerySpan
from qwen_app.engine.local.attention.kv_cache import KVCache
from qwen_app.engine.local.attention.sdpa import SdpaAttention, SdpaPlan
from qwen_app.kernels.cpu.decode_attention import decode_attention

# Tokens that are verified, forced or read together are rows of their own up to so many pairs of a token and a key: more
# are faster by PyTorch's, which reads each key once for all of them.
FEW_PAIRS = 1 << 14


@dataclass(frozen=True, slots=True)
class CpuDecodePlan:
    """``first_cells`` and ``ends``, int64 ``[rows]``: what each row of one token sees. ``rest`` follows them."""

    first_cells: torch.Tensor
    ends: torch.Tensor
    rest: SdpaPlan


class CpuDecodeAttention:
    """Over a float32 cache. See Attention."""

    def __init__(self, cache: KVCache, query_heads: int) -> None:
        self.cache = cache
        self._prompts = SdpaAttention(cache, query_heads)

    def plan(self, batch: Batch) -> CpuDecodePlan:
        decoding = list(takewhile(_is_rows, batch.spans))
        cells = [self.cache.cell(span.slot, 0) for span in decoding for _ in range(span.length)]
        ends = [end for span in decoding for end in range(span.start + 1, span.end + 1)]
        rest = self._prompts.groups(batch.spans[len(decoding) :], len(ends), batch.slot_mapping.device)
        first_cells, seen = (torch.tensor(part, dtype=torch.int64) for part in (cells, ends))
        return CpuDecodePlan(first_cells, seen, SdpaPlan(rest))

    def attend(self, query: torch.Tensor, layer: int, batch: Batch, scaling: float) -> torch.Tensor:
        plan = batch.plan
        assert isinstance(plan, CpuDecodePlan)
        outputs = self._prompts.attended(query, layer, plan.rest, scaling)
        if rows := len(plan.ends):
            own = query[:, :rows].transpose(0, 1).contiguous()
            keys, values = self.cache.keys[layer], self.cache.values[layer]
            outputs.insert(0, decode_attention(own, keys, values, plan.first_cells, plan.ends, scaling))
        return outputs[0] if len(outputs) == 1 else torch.cat(outputs)


def _is_rows(span: QuerySpan) -> bool:
    return span.length == 1 or span.length * span.end <= FEW_PAIRS
