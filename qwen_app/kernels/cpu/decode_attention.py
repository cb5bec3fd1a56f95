"""Attention of rows of one token, what decoding answers are, in C++."""

from __future__ import annotations

from ctypes import c_bool, c_float, c_int64, c_void_p
from functools import cache
from typing import Any

import torch

from qwen_app.kernels.cpu.compile import library


def decode_attention(
    query: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    first_cells: torch.Tensor,
    ends: torch.Tensor,
    scaling: float,
) -> torch.Tensor:
    """``[rows, query heads, dim]``, as ``query`` is; ``keys`` and ``values`` are ``[cells, kv heads, dim]``.

    Row ``r`` sees ``ends[r]`` cells from ``first_cells[r]`` on; both are int64, all else float32 and contiguous, on a
    CPU. Raises NotCompiled or OSError where ``library`` does, ValueError for heads of a size that it does not know.
    """
    rows, query_heads, dim = query.shape
    output = torch.empty_like(query)
    served = _attend()(
        *(query.data_ptr(), keys.data_ptr(), values.data_ptr(), first_cells.data_ptr(), ends.data_ptr(), scaling),
        *(output.data_ptr(), rows, query_heads, keys.shape[1], dim),
    )
    if not served:
        raise ValueError(f"knows no heads of {dim} numbers")
    return output


@cache
def _attend() -> Any:  # a function of ctypes
    function = library().qwen_attend
    function.argtypes = (*[c_void_p] * 5, c_float, c_void_p, *[c_int64] * 4)
    function.restype = c_bool
    return function
