"""Products of 4-bit weights in C++, for inputs that are rounded to 8 bits: see products.hpp."""

from __future__ import annotations

import torch

from qwen_app.kernels.cpu.weights import PackedWeights

TILE_ROWS = 16


class Int4Weights(PackedWeights):
    """See PackedWeights. Groups are multiples of 32 columns."""

    bits = 4
    columns_packed = 8
    product = "qwen_int4_product"


def tiles_of(codes: torch.Tensor, scales_and_zeros: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """What ``Int4Weights`` takes of uint8 codes ``[out, in]``, and of scales and zeros ``[groups, out, 2]``."""
    return code_tiles_of(codes), scale_tiles_of(scales_and_zeros)


def code_tiles_of(codes: torch.Tensor) -> torch.Tensor:
    """uint8 ``[tiles, in / 8, 16, 4]`` of uint8 codes ``[out, in]``. Of eight columns the even ones lie in the first
    two bytes, one in each half of a byte, the lower half first, and the odd ones in the others."""
    eights = codes.unflatten(1, (-1, 2, 2, 2)).unflatten(0, (-1, TILE_ROWS)).transpose(1, 2)
    halves = eights.movedim(-1, -3)  # [tile, eight columns, row, odd, byte, half]
    packed: torch.Tensor = (halves[..., 0] | halves[..., 1] << 4).flatten(-2).contiguous()
    return packed


def scale_tiles_of(scales_and_zeros: torch.Tensor) -> torch.Tensor:
    """bfloat16 ``[tiles, groups, 16, 2]`` of scales and zeros ``[groups, out, 2]``."""
    tiles: torch.Tensor = scales_and_zeros.unflatten(1, (-1, TILE_ROWS)).transpose(0, 1).contiguous()
    return tiles


def codes_of(packed: torch.Tensor) -> torch.Tensor:
    """The codes, uint8 ``[out, in]``, of what ``tiles_of`` packed."""
    bytes_ = packed.unflatten(-1, (2, 2))
    halves = torch.stack((bytes_ & 15, bytes_ >> 4), -1)
    return halves.movedim(-3, -1).transpose(1, 2).flatten(2).flatten(0, 1)
