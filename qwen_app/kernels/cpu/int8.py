"""Products of 8-bit weights in C++, as those of 4 bits."""

from __future__ import annotations

from ctypes import Structure, byref, c_int64, c_void_p
from functools import cache
from typing import Any

import torch

from qwen_app.kernels.cpu.compile import library
from qwen_app.kernels.cpu.int4 import TILE_ROWS

GROUP_COLUMNS = 16  # columns that share a scale are so many, or a multiple


class Int8Weights(Structure):
    """A weight as C++ has it: addresses of what the tensors it was made of hold, which must outlive it."""

    _fields_ = (
        *((name, c_void_p) for name in ("packed", "scales", "bias")),
        *((name, c_int64) for name in ("columns", "group", "out_features")),
    )

    @classmethod
    def of(
        cls, packed: torch.Tensor, scales: torch.Tensor, bias: torch.Tensor | None, out_features: int
    ) -> Int8Weights:
        """Of what ``tiles_of`` gives, and a float32 ``bias`` ``[out_features]``."""
        columns = packed.shape[1] * 4
        return cls(
            packed.data_ptr(),
            scales.data_ptr(),
            bias.data_ptr() if bias is not None else None,
            columns,
            columns // scales.shape[1],
            out_features,
        )


def int8_product(rows: torch.Tensor, weights: Int8Weights) -> torch.Tensor:
    """``rows @ weight.T + bias``: float32 ``[rows, out_features]`` of float32 ``[rows, in]``, contiguous, on a CPU."""
    count = rows.shape[0]
    output = rows.new_empty(count, weights.out_features)
    _product()(byref(weights), rows.data_ptr(), count, output.data_ptr())
    return output


def tiles_of(codes: torch.Tensor, scales: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """uint8 ``[tiles, in / 4, 16, 4]`` of int8 codes ``[groups, out, in / groups]``, 128 added, and bfloat16
    ``[tiles, groups, 16]`` of scales ``[groups, out]``. Of the last tile, what is beyond ``out`` is nothing."""
    spare = -codes.shape[1] % TILE_ROWS
    codes = torch.nn.functional.pad(codes, (0, 0, 0, spare))
    scales = torch.nn.functional.pad(scales, (0, spare))
    quads = codes.transpose(0, 1).flatten(1).unflatten(1, (-1, 4)).unflatten(0, (-1, TILE_ROWS)).transpose(1, 2)
    packed = quads.contiguous().view(torch.uint8) ^ 128
    return packed, scales.unflatten(1, (-1, TILE_ROWS)).transpose(0, 1).contiguous()


def rows_of(packed: torch.Tensor, scales: torch.Tensor, rows: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """``[*rows, in]`` of ``dtype``: these rows of what ``tiles_of`` packed."""
    tiles, places = rows // TILE_ROWS, rows % TILE_ROWS
    codes = (packed[tiles, :, places] ^ 128).view(torch.int8).flatten(-2).unflatten(-1, (scales.shape[1], -1))
    weights: torch.Tensor = codes.to(dtype) * scales[tiles, :, places][..., None].to(dtype)
    return weights.flatten(-2)


@cache
def _product() -> Any:  # a function of ctypes
    function = library().qwen_int8_product
    function.argtypes = (c_void_p, c_void_p, c_int64, c_void_p)
    function.restype = None
    return function
