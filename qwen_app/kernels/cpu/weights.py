"""Weights as products.hpp has them, and how they are multiplied."""

from __future__ import annotations

from ctypes import Structure, byref, c_int64, c_void_p
from functools import cache
from typing import Any, ClassVar, Self

import torch

from qwen_app.kernels.cpu.compile import library


class PackedWeights(Structure):
    """Addresses of what the tensors hold that it was made of, which must outlive it. One kind for each way to pack."""

    bits: ClassVar[int]  # of a weight
    columns_packed: ClassVar[int]  # of a tile's row of bytes
    product: ClassVar[str]  # the function in C++

    _fields_ = (
        *((name, c_void_p) for name in ("packed", "scales", "bias")),
        *((name, c_int64) for name in ("columns", "group", "out_features")),
    )

    @classmethod
    def of(cls, packed: torch.Tensor, scales: torch.Tensor, bias: torch.Tensor | None, out_features: int) -> Self:
        """Of what ``tiles_of`` of its kind gives, and a float32 ``bias`` ``[out_features]``."""
        columns = packed.shape[1] * cls.columns_packed
        return cls(
            packed.data_ptr(),
            scales.data_ptr(),
            bias.data_ptr() if bias is not None else None,
            columns,
            columns // scales.shape[1],
            out_features,
        )


def multiplied(rows: torch.Tensor, weights: PackedWeights) -> torch.Tensor:
    """``rows @ weight.T + bias``: float32 ``[rows, out_features]`` of float32 ``[rows, in]``, contiguous, on a CPU."""
    count = rows.shape[0]
    output = rows.new_empty(count, weights.out_features)
    function_of(weights.product)(byref(weights), rows.data_ptr(), count, output.data_ptr())
    return output


@cache
def function_of(product: str) -> Any:  # a function of ctypes
    function = getattr(library(), product)
    function.argtypes = (c_void_p, c_void_p, c_int64, c_void_p)
    function.restype = None
    return function
