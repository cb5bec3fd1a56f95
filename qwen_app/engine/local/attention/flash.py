"""Flash attention over the slots, on CUDA: PyTorch's kernel for sequences of many lengths, and ours for rows of one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, takewhile

import torch

from qwen_app.engine.local.attention.batch import Batch, QuerySpan
from qwen_app.engine.local.attention.kv_cache import KVCache
from qwen_app.engine.local.attention.transfer import to_device
from qwen_app.kernels.cuda.decode_attention import Workspace, decode_attention

UNBOUNDED, CAUSAL = -1, 0  # how far to its right a query sees


@dataclass(frozen=True, slots=True)
class FlashCall:
    """One call of the kernel over ``tokens`` packed tokens from ``first``.

    Tensors are int32 ``[spans + 1]``, ``seqused_k`` ``[spans]``. Queries of span ``i`` are ``cu_seqlens_q[i]`` to
    ``cu_seqlens_q[i + 1]``; its keys begin at cell ``cu_seqlens_k[i]``, of which the first ``seqused_k[i]`` count.
    """

    first: int
    tokens: int
    cu_seqlens_q: torch.Tensor
    cu_seqlens_k: torch.Tensor
    seqused_k: torch.Tensor
    max_seqlen_q: int
    max_seqlen_k: int

    @property
    def right(self) -> int:
        """A single query sees all keys there are: without a causal window the kernel splits long keys over the card and
        packs the query heads that share a KV head. With one it walks them in one block a row and head."""
        return UNBOUNDED if self.max_seqlen_q == 1 else CAUSAL


@dataclass(frozen=True, slots=True)
class FlashPlan:
    """The calls that make up a step, in the order of their tokens: decoding rows, then pieces of prompts."""

    calls: tuple[FlashCall, ...]


class FlashAttention:
    """Slots are offsets into one buffer, query heads share KV heads in the kernel.

    The operator beneath ``torch.nn.attention.varlen`` is called, which torch 2.11 to 2.13 have alike, and the function
    around it not. Slots stay contiguous: with a block table, torch 2.13 leaves rows unwritten where it splits keys.
    """

    serves_any_length = False  # a step captured for the longest keys reads short ones less well than one for them

    def __init__(self, cache: KVCache) -> None:
        self.cache = cache

    def plan(self, batch: Batch) -> FlashPlan:
        rows = len(list(takewhile(lambda span: span.length == 1, batch.spans)))
        parts = [batch.spans[:rows], batch.spans[rows:]]
        return FlashPlan(
            tuple(
                self._call(spans, first, batch.slot_mapping.device)
                for spans, first in zip(parts, (0, rows), strict=True)
                if spans
            )
        )

    def _call(self, spans: Sequence[QuerySpan], first: int, device: torch.device) -> FlashCall:
        lengths = [span.length for span in spans]
        cells = [self.cache.cell(span.slot, 0) for span in spans]
        return FlashCall(
            first=first,
            tokens=sum(lengths),
            cu_seqlens_q=to_device([0, *accumulate(lengths)], torch.int32, device),
            cu_seqlens_k=to_device([*cells, cells[-1] + spans[-1].end], torch.int32, device),
            seqused_k=to_device([span.end for span in spans], torch.int32, device),
            max_seqlen_q=max(lengths),
            max_seqlen_k=max(span.end for span in spans),
        )

    def attend(self, query: torch.Tensor, layer: int, batch: Batch, scaling: float) -> torch.Tensor:
        plan = batch.plan
        assert isinstance(plan, FlashPlan)
        tokens_first = query.transpose(0, 1)
        outputs = [
            self._attend(tokens_first[call.first : call.first + call.tokens], layer, call, scaling)
            for call in plan.calls
        ]
        return outputs[0] if len(outputs) == 1 else torch.cat(outputs)

    def _attend(self, query: torch.Tensor, layer: int, call: FlashCall, scaling: float) -> torch.Tensor:
        output: torch.Tensor = torch.ops.aten._flash_attention_forward(
            query,
            self.cache.keys[layer],
            self.cache.values[layer],
            call.cu_seqlens_q,
            call.cu_seqlens_k,
            call.max_seqlen_q,
            call.max_seqlen_k,
            0.0,  # dropout
            call.right == CAUSAL,
            False,  # no mask for debugging
            scale=scaling,
            window_size_left=UNBOUNDED,
            window_size_right=call.right,
            seqused_k=call.seqused_k,
        )[0]
        return output


class OwnDecodeAttention(FlashAttention):
    """Decoding rows by our own kernel, which cuts keys by how many there are, not by how many there may be."""

    serves_any_length = True

    def __init__(self, cache: KVCache) -> None:
        super().__init__(cache)
        shape = cache.shape
        self._workspaces = {
            device: Workspace.on(device, cache.scratch_rows, shape.heads, shape.head_dim) for device in cache.devices
        }

    def _attend(self, query: torch.Tensor, layer: int, call: FlashCall, scaling: float) -> torch.Tensor:
        if call.max_seqlen_q > 1:
            return super()._attend(query, layer, call, scaling)
        keys, values = self.cache.keys[layer], self.cache.values[layer]
        workspace = self._workspaces[keys.device]
        return decode_attention(query, keys, values, call.cu_seqlens_k, call.seqused_k, scaling, workspace)
