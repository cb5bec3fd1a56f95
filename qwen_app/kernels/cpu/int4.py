"""Products of 4-bit weights in C++, for inputs that are rounded to 15 bits: closer to float32 than bfloat16 inputs."""

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
    """uint8 ``[tiles, in / 8, 16, 4]`` of uint8 codes ``[out, in]``. A byte has column ``j`` of eight in its lower
    half, and column ``4 + j`` above."""
    quads = codes.unflatten(1, (-1, 2, 4)).unflatten(0, (-1, TILE_ROWS)).transpose(1, 2)
    packed: torch.Tensor = (quads[..., 0, :] | quads[..., 1, :] << 4).contiguous()
    return packed


def scale_tiles_of(scales_and_zeros: torch.Tensor) -> torch.Tensor:
    """bfloat16 ``[tiles, groups, 16, 2]`` of scales and zeros ``[groups, out, 2]``."""
    tiles: torch.Tensor = scales_and_zeros.unflatten(1, (-1, TILE_ROWS)).transpose(0, 1).contiguous()
    return tiles


def codes_of(packed: torch.Tensor) -> torch.Tensor:
    """The codes, uint8 ``[out, in]``, of what ``tiles_of`` packed."""
    quads = torch.stack((packed & 15, packed >> 4), -2)  # [tile, eight columns, row, half, column]
    return quads.transpose(1, 2).flatten(2).flatten(0, 1)
