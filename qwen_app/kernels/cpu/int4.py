"""Products of 4-bit weights in C++, for inputs that are rounded to 15 bits: closer to float32 than bfloat16 inputs."""

from __future__ import annotations

from ctypes import Structure, byref, c_int64, c_void_p
from functools import cache
from typing import Any

import torch

from qwen_app.kernels.cpu.compile import library

TILE_ROWS = 16


class Int4Weights(Structure):
    """A weight as C++ has it: addresses of what the tensors it was made of hold, which must outlive it."""

    _fields_ = (
        *((name, c_void_p) for name in ("packed", "scales_and_zeros", "bias")),
        *((name, c_int64) for name in ("columns", "group", "out_features")),
    )

    @classmethod
    def of(
        cls, packed: torch.Tensor, scales_and_zeros: torch.Tensor, bias: torch.Tensor | None, out_features: int
    ) -> Int4Weights:
        """Of what ``tiles_of`` gives, and a float32 ``bias`` ``[out_features]``. Groups are multiples of 32 columns."""
        columns = packed.shape[1] * 8
        return cls(
            packed.data_ptr(),
            scales_and_zeros.data_ptr(),
            bias.data_ptr() if bias is not None else None,
            columns,
            columns // scales_and_zeros.shape[1],
            out_features,
        )


def int4_product(rows: torch.Tensor, weights: Int4Weights) -> torch.Tensor:
    """``rows @ weight.T + bias``: float32 ``[rows, out_features]`` of float32 ``[rows, in]``, contiguous, on a CPU."""
    count = rows.shape[0]
    output = rows.new_empty(count, weights.out_features)
    _product()(byref(weights), rows.data_ptr(), count, output.data_ptr())
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
    function = library().qwen_int4_product
    function.argtypes = (c_void_p, c_void_p, c_int64, c_void_p)
    function.restype = None
    return function
