"""Whether our kernels for 8 and 4-bit weights serve on a card: Triton is there, they work, and they are right."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import cache

import torch

from qwen_app.kernels.choice import first_line, has_triton
from qwen_app.linear.tile_layout import tiles_of_cuda

log = logging.getLogger(__name__)

TOLERANCE = 1e-3  # of ||difference|| / ||reference||, summed in float32 by both


@cache
@torch.inference_mode()
def multiplies_8_bits(card: torch.device) -> bool:
    """``kernels.packed.int8_product``. torch's own kernel takes nine times as long as reading the codes."""

    def error() -> float:
        from qwen_app.kernels.packed import int8_product

        codes = torch.randint(-127, 128, (2, 80, 320), device=card, dtype=torch.int8)
        scales = torch.rand(2, 80, device=card).bfloat16()
        rows = torch.randn(3, 640, device=card).bfloat16()
        weight = (codes.float() * scales.float()[..., None]).transpose(0, 1).flatten(1)
        return _far(int8_product(rows, codes, scales), rows.float() @ weight.t())

    return _serves("8-bit products", error)


@cache
@torch.inference_mode()
def unpacks_4_bits(card: torch.device) -> bool:
    """``kernels.packed.int4_unpacked``. The same in torch takes twenty times as long as writing the weights."""

    def error() -> float:
        from qwen_app.kernels.packed import int4_unpacked

        codes = torch.arange(64 * 256, device=card).mul(7).remainder(16).to(torch.uint8).view(64, 256)
        scales = 2.0 ** torch.randint(-3, 4, (8, 64), device=card)  # with eight times as much, exact in bfloat16
        scales_and_zeros = torch.stack((scales, 8 * scales), -1).bfloat16()
        want = codes.float() * scales.t().repeat_interleave(32, 1)
        return _far(int4_unpacked(tiles_of_cuda(codes), scales_and_zeros).float(), want)

    return _serves("4-bit prompts", error)


def _far(got: torch.Tensor, want: torch.Tensor) -> float:
    return float((got - want).norm() / want.norm())


def _serves(what: str, error: Callable[[], float]) -> bool:
    problem = "Triton is not installed"
    if has_triton():
        try:
            far = error()
            problem = "" if far < TOLERANCE else f"our kernel is wrong here, relative error {far:.1e}"
        except Exception as unusable:  # no compiler, a card or driver Triton does not know
            problem = first_line(unusable)
    if problem:
        log.warning("%s are slower than they could be: %s", what, problem)
    return not problem
