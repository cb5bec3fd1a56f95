"""The step kernels fused in Triton: one launch each. Sums and norms are computed in float32, as torch does.

Triton comes with PyTorch for CUDA. Nothing here is imported where it is missing (see ``compute.kernel_choice``).
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl

from qwen_app.kernels.cuda.launch import on_card_of
from qwen_app.kernels.step_kernels import Heads

GATE_BLOCK = 1024
NORM_WARPS = 8  # of one row: it is all that a step of one answer has to do meanwhile


class FusedKernels:
    """On one card. See StepKernels."""

    def rms_norm(self, hidden: torch.Tensor, weight: torch.Tensor, eps: float) -> torch.Tensor:
        normed = torch.empty_like(hidden)
        tokens, size = hidden.shape
        with on_card_of(hidden):
            _add_rms_norm[(tokens,)](
                *(hidden, hidden, weight, hidden, normed, size, eps),
                ADDS=False,
                BLOCK=triton.next_power_of_2(size),
                num_warps=NORM_WARPS,
            )
        return normed

    def add_rms_norm(
        self, hidden: torch.Tensor, added: torch.Tensor, weight: torch.Tensor, eps: float
    ) -> tuple[torch.Tensor, torch.Tensor]:
        total, normed = torch.empty_like(hidden), torch.empty_like(hidden)
        tokens, size = hidden.shape
        with on_card_of(hidden):
            _add_rms_norm[(tokens,)](
                *(hidden, added, weight, total, normed, size, eps),
                ADDS=True,
                BLOCK=triton.next_power_of_2(size),
                num_warps=NORM_WARPS,
            )
        return total, normed

    def rotate_and_store(
        self,
        qkv: torch.Tensor,
        heads: Heads,
        rotation: tuple[torch.Tensor, torch.Tensor],
        cells: torch.Tensor,
        cache: tuple[torch.Tensor, torch.Tensor],
    ) -> torch.Tensor:
        tokens = qkv.shape[0]
        query = qkv.new_empty(tokens, heads.query, heads.dim)
        norms = heads.norms
        with on_card_of(qkv):
            _rotate_and_store[(tokens, heads.query + 2 * heads.kv)](
                qkv,
                *rotation,
                cells,
                query,
                *cache,
                norms if norms is not None else qkv,
                heads.eps,
                QUERY_HEADS=heads.query,
                KV_HEADS=heads.kv,
                DIM=heads.dim,
                HALF_BLOCK=triton.next_power_of_2(heads.dim // 2),
                NORMS=norms is not None,
                num_warps=1,
            )
        return query

    def gate(self, gate_up: torch.Tensor) -> torch.Tensor:
        tokens, both = gate_up.shape
        size = both // 2
        output = gate_up.new_empty(tokens, size)
        with on_card_of(gate_up):
            _gate[(tokens, triton.cdiv(size, GATE_BLOCK))](gate_up, output, size, BLOCK=GATE_BLOCK)
        return output


@triton.jit
def _add_rms_norm(hidden, added, weight, total, normed, size, eps, ADDS: tl.constexpr, BLOCK: tl.constexpr):
    columns = tl.arange(0, BLOCK)
    within = columns < size
    places = tl.program_id(0).to(tl.int64) * size + columns
    weights = tl.load(weight + columns, within, 0.0).to(tl.float32)  # on its way while the rest is summed
    value = tl.load(hidden + places, within, 0.0).to(tl.float32)
    if ADDS:
        value += tl.load(added + places, within, 0.0).to(tl.float32)
        rounded = value.to(total.dtype.element_ty)
        tl.store(total + places, rounded, within)
        value = rounded.to(tl.float32)
    scale = tl.rsqrt(tl.sum(value * value, 0) / size + eps)
    tl.store(normed + places, (value * scale * weights).to(normed.dtype.element_ty), within)


@triton.jit
def _rotate_and_store(
    qkv,
    cosines,
    sines,
    cells,
    query,
    keys,
    values,
    norms,
    eps,
    QUERY_HEADS: tl.constexpr,
    KV_HEADS: tl.constexpr,
    DIM: tl.constexpr,
    HALF_BLOCK: tl.constexpr,
    NORMS: tl.constexpr,
):
    """One head of one token: its two halves are turned against each other."""
    HALF: tl.constexpr = DIM // 2
    token, head = tl.program_id(0).to(tl.int64), tl.program_id(1)
    low = tl.arange(0, HALF_BLOCK)
    within = low < HALF
    source = qkv + (token * (QUERY_HEADS + 2 * KV_HEADS) + head) * DIM
    x = tl.load(source + low, within, 0.0).to(tl.float32)
    y = tl.load(source + HALF + low, within, 0.0).to(tl.float32)
    if head < QUERY_HEADS + KV_HEADS:
        if NORMS:
            scale = tl.rsqrt((tl.sum(x * x, 0) + tl.sum(y * y, 0)) / DIM + eps)
            x = x * scale * tl.load(norms + head * DIM + low, within, 0.0).to(tl.float32)
            y = y * scale * tl.load(norms + head * DIM + HALF + low, within, 0.0).to(tl.float32)
        angles = token * DIM + low
        turned_x = x * tl.load(cosines + angles, within, 0.0) + y * tl.load(sines + angles, within, 0.0)
        turned_y = y * tl.load(cosines + HALF + angles, within, 0.0) + x * tl.load(sines + HALF + angles, within, 0.0)
        x, y = turned_x, turned_y
    if head < QUERY_HEADS:
        target = query + (token * QUERY_HEADS + head) * DIM
    else:
        cell = tl.load(cells + token)
        if head < QUERY_HEADS + KV_HEADS:
            target = keys + (cell * KV_HEADS + head - QUERY_HEADS) * DIM
        else:
            target = values + (cell * KV_HEADS + head - QUERY_HEADS - KV_HEADS) * DIM
    tl.store(target + low, x.to(target.dtype.element_ty), within)
    tl.store(target + HALF + low, y.to(target.dtype.element_ty), within)


@triton.jit
def _gate(gate_up, output, size, BLOCK: tl.constexpr):
    token = tl.program_id(0).to(tl.int64)
    columns = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    within = columns < size
    gate = tl.load(gate_up + token * 2 * size + columns, within, 0.0).to(tl.float32)
    up = tl.load(gate_up + (token * 2 + 1) * size + columns, within, 0.0).to(tl.float32)
    gated = (gate * tl.sigmoid(gate)).to(output.dtype.element_ty).to(tl.float32)  # rounded where torch rounds
    tl.store(output + token * size + columns, (gated * up).to(output.dtype.element_ty), within)
