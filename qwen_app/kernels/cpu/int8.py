"""Products of 8-bit weights in C++, as those of 4 bits."""

from __future__ import annotations

import torch

from qwen_app.kernels.cpu.int4 import TILE_ROWS
from qwen_app.kernels.cpu.weights import PackedWeights

GROUP_COLUMNS = 16  # columns that share a scale are so many, or a multiple


class Int8Weights(PackedWeights):
    """See PackedWeights."""

    bits = 8
    columns_packed = 4
    product = "qwen_int8_product"


def tiles_of(codes: torch.Tensor, scales: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """uint8 ``[tiles, in / 4, 16, 4]`` of int8 codes ``[groups, out, in / groups]``, 128 added, and bfloat16
    ``[tiles, groups, 16]`` of scales ``[groups, out]``. Of four columns the even ones lie before the odd ones. Of the
    last tile, what is beyond ``out`` is nothing."""
    spare = -codes.shape[1] % TILE_ROWS
    codes = torch.nn.functional.pad(codes, (0, 0, 0, spare))
    scales = torch.nn.functional.pad(scales, (0, spare))
    quads = codes.transpose(0, 1).flatten(1).unflatten(1, (-1, 4)).unflatten(0, (-1, TILE_ROWS)).transpose(1, 2)
    packed = _even_first(quads).contiguous().view(torch.uint8) ^ 128
    return packed, scales.unflatten(1, (-1, TILE_ROWS)).transpose(0, 1).contiguous()


def rows_of(packed: torch.Tensor, scales: torch.Tensor, rows: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """``[*rows, in]`` of ``dtype``: these rows of what ``tiles_of`` packed."""
    tiles, places = rows // TILE_ROWS, rows % TILE_ROWS
    quads = _even_first(packed[tiles, :, places] ^ 128).contiguous()
    codes = quads.view(torch.int8).flatten(-2).unflatten(-1, (scales.shape[1], -1))
    weights: torch.Tensor = codes.to(dtype) * scales[tiles, :, places][..., None].to(dtype)
    return weights.flatten(-2)


def _even_first(quads: torch.Tensor) -> torch.Tensor:
    """The middle two of the last four exchanged: done twice, nothing has changed."""
    exchanged: torch.Tensor = quads.unflatten(-1, (2, 2)).transpose(-1, -2).flatten(-2)
    return exchanged
