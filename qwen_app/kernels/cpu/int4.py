"""Products of 4-bit weights in C++, for inputs that are rounded to 15 bits: closer to float32 than bfloat16 inputs."""

from __future__ import annotations

from ctypes import c_bool, c_int64, c_void_p
from functools import cache
from pathlib import Path
from typing import Any

import torch

from qwen_app.kernels.cpu.compile import compiled

SOURCE = Path(__file__).with_name("int4.cpp")
TILE_ROWS = 16
BLOCK_COLUMNS = 32


def serves() -> bool:
    """Whether this processor has the instructions. Raises NotCompiled or OSError where ``compiled`` does."""
    function = compiled(SOURCE).qwen_int4_serves
    function.restype = c_bool
    return bool(function())


def int4_product(
    rows: torch.Tensor, packed: torch.Tensor, scales_and_zeros: torch.Tensor, out_features: int
) -> torch.Tensor:
    """``rows @ weight.T``: float32 ``[rows, out_features]`` of float32 ``[rows, in]``, both contiguous, on a CPU.

    ``packed`` and ``scales_and_zeros`` are what ``tiles_of`` gives; groups are multiples of 32 columns.
    """
    groups = scales_and_zeros.shape[1]
    count, columns = rows.shape
    output = rows.new_empty(count, out_features)
    _product()(
        *(rows.data_ptr(), count, packed.data_ptr(), scales_and_zeros.data_ptr(), columns, columns // groups),
        *(output.data_ptr(), out_features),
    )
    return output


def tiles_of(codes: torch.Tensor, scales_and_zeros: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """uint8 ``[tiles, in / 8, 16, 4]`` of uint8 codes ``[out, in]``; and bfloat16 ``[tiles, groups, 16, 2]`` of scales
    and zeros ``[groups, out, 2]``. A byte has column ``j`` of eight in its lower half, and column ``4 + j`` above."""
    quads = codes.unflatten(1, (-1, 2, 4)).unflatten(0, (-1, TILE_ROWS)).transpose(1, 2)
    packed = quads[..., 0, :] | quads[..., 1, :] << 4
    return packed.contiguous(), scales_and_zeros.unflatten(1, (-1, TILE_ROWS)).transpose(0, 1).contiguous()


def codes_of(packed: torch.Tensor) -> torch.Tensor:
    """The codes, uint8 ``[out, in]``, of what ``tiles_of`` packed."""
    quads = torch.stack((packed & 15, packed >> 4), -2)  # [tile, eight columns, row, half, column]
    return quads.transpose(1, 2).flatten(2).flatten(0, 1)


@cache
def _product() -> Any:  # a function of ctypes
    function = compiled(SOURCE).qwen_int4_product
    function.argtypes = (c_void_p, c_int64, *[c_void_p] * 2, *[c_int64] * 2, c_void_p, c_int64)
    function.restype = None
    return function
