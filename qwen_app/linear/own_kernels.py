"""Whether our kernels for 8 and 4-bit weights serve on a device: what compiles them is there, they work, are right."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import cache

import torch

from qwen_app.kernels.comparison import relative_error
from qwen_app.kernels.cpu import int4, int8
from qwen_app.kernels.cpu.compile import products_serve
from qwen_app.kernels.cpu.weights import multiplied
from qwen_app.kernels.failure import short_reason
from qwen_app.linear.tile_layout import tiles_of_cuda, varied_codes

log = logging.getLogger(__name__)

TOLERANCE = 1e-3  # of ||difference|| / ||reference||, summed in float32 by both
TOLERANCE_ROUNDED = 4e-3  # the same of a result in bfloat16
NO_PRODUCTS = "this processor has no AVX2 and FMA"
CHECKED_ROWS = (3, 20)  # as many as a block takes, and more
CPU_GROUP = 32  # kernels are the same for all


@cache
@torch.inference_mode()
def multiplies_8_bits(card: torch.device) -> bool:
    """``kernels.cuda.int8.int8_product``. torch's own kernel takes nine times as long as reading the codes."""

    def error() -> float:
        from qwen_app.kernels.cuda.int8 import int8_product

        codes = torch.randint(-127, 128, (2, 80, 320), device=card, dtype=torch.int8)
        scales = torch.rand(2, 80, device=card).bfloat16()
        rows = torch.randn(3, 640, device=card).bfloat16()
        weight = (codes.float() * scales.float()[..., None]).transpose(0, 1).flatten(1)
        return _far(int8_product(rows, codes, scales), rows.float() @ weight.t())

    return _serves("8-bit products", error)


@cache
@torch.inference_mode()
def multiplies_4_bits(card: torch.device, group: int) -> bool:
    """``kernels.cuda.int4``, for weights of which ``group`` columns share a scale. torch's own product takes up to
    three times as long for 8 rows, and unpacking the weights by its operators twenty times as long as writing them."""

    def error() -> float:
        from qwen_app.kernels.cuda.int4 import int4_product, int4_unpacked, scale_tiles_of

        codes, scales_and_zeros, weight = _random_int4(card, group)
        tiles = tiles_of_cuda(codes), scale_tiles_of(scales_and_zeros, group)
        bias = 100 * torch.randn(len(weight), device=card).bfloat16()
        inputs = [torch.randn(rows, weight.shape[1], device=card).bfloat16() for rows in CHECKED_ROWS]
        far = [_far(int4_product(rows, *tiles), rows.float() @ weight.t()) for rows in inputs]
        biased = int4_product(inputs[0], *tiles, bias)
        return max(*far, _far(biased, inputs[0].float() @ weight.t() + bias), _far(int4_unpacked(*tiles), weight))

    return _serves("4-bit products", error, TOLERANCE_ROUNDED)


@cache
@torch.inference_mode()
def multiplies_4_bits_on_a_cpu() -> bool:
    """``kernels.cpu.weights.multiplied``. torch's own kernel takes up to four times as long. Ours rounds inputs to 8
    bits and so errs twice as much, which is little beside what the weights' 4 bits cost."""

    def error() -> float:
        if not products_serve():
            raise RuntimeError(NO_PRODUCTS)
        codes, scales_and_zeros, weight = _random_int4(torch.device("cpu"), CPU_GROUP)
        tiles = int4.tiles_of(codes, scales_and_zeros)
        weights = int4.Int4Weights.of(*tiles, None, len(codes))
        inputs = [_random_of_8_bits(rows, weight.shape[1]) for rows in CHECKED_ROWS]
        return max(_far(multiplied(rows, weights), rows @ weight.t()) for rows in inputs)

    return _serves("4-bit products", error)


@cache
@torch.inference_mode()
def multiplies_8_bits_on_a_cpu() -> bool:
    """``kernels.cpu.weights.multiplied``. torch's own kernel takes twice as long for up to 8 rows, and beyond those the
    weights have to be unpacked: 13 times as long for 9."""

    def error() -> float:
        if not products_serve():
            raise RuntimeError(NO_PRODUCTS)
        codes, scales = torch.randint(-127, 128, (2, 70, 144), dtype=torch.int8), torch.rand(2, 70).bfloat16()
        weight = (codes.float() * scales.float()[..., None]).transpose(0, 1).flatten(1)
        tiles = int8.tiles_of(codes, scales)
        weights = int8.Int8Weights.of(*tiles, None, len(weight))
        inputs = [torch.randn(rows, weight.shape[1]) for rows in CHECKED_ROWS]
        return max(_far(multiplied(rows, weights), rows @ weight.t()) for rows in inputs)

    return _serves("8-bit products", error)


def _random_int4(device: torch.device, group: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Codes, scales and zeros of groups, and the weight they mean, which is exact in bfloat16."""
    codes = varied_codes(64, 512).to(device)
    scales = 2.0 ** torch.randint(-3, 4, (512 // group, 64), device=device)
    weight = codes.float() * scales.t().repeat_interleave(group, 1)
    return codes, torch.stack((scales, 8 * scales), -1).bfloat16(), weight


def _random_of_8_bits(rows: int, columns: int) -> torch.Tensor:
    """Numbers that stay as they are when they are rounded to 8 bits, from the lowest to the highest of some."""
    numbers = torch.randint(-127, 128, (rows, columns)).float()
    numbers[:, ::CPU_GROUP], numbers[:, 1::CPU_GROUP] = -127, 127
    return numbers + 50


def _far(got: torch.Tensor, want: torch.Tensor) -> float:
    return float(relative_error(got, want))


def _serves(what: str, error: Callable[[], float], tolerance: float = TOLERANCE) -> bool:
    try:
        far = error()
        problem = "" if far < tolerance else f"our kernel is wrong here, relative error {far:.1e}"
    except Exception as unusable:  # no Triton or C compiler, a card or driver that they do not know
        problem = short_reason(unusable)
    if problem:
        log.warning("%s are slower than they could be: %s", what, problem)
    return not problem
