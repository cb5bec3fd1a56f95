"""Some rows of a matrix at a time: what is computed of them lies in a processor's caches, not in memory fetched anew.

Rounding a matrix to 4 bits makes some fifty matrices in float32 on the way. Made whole they take twice to ten times as
long, and memory that a small machine does not have.
"""

from __future__ import annotations

import torch

NUMBERS_AT_ONCE = {"cpu": 1 << 19, "cuda": 1 << 25}  # a card would rather launch less
ROWS_TOGETHER = 64  # whole tiles of every kernel


def row_slices(matrix: torch.Tensor) -> list[torch.Tensor]:
    """``matrix`` ``[rows, ..]`` in views of whole tiles of rows, from top to bottom; the last may have any number."""
    return [matrix[rows] for rows in slices_of(len(matrix), matrix[:1].numel(), matrix.device.type)]


def slices_of(rows: int, numbers_of_each: int, device_type: str = "cpu") -> list[slice]:
    """The same of so many rows, as slices."""
    tiles = NUMBERS_AT_ONCE[device_type] // (max(1, numbers_of_each) * ROWS_TOGETHER)
    at_once = max(1, tiles) * ROWS_TOGETHER
    return [slice(start, start + at_once) for start in range(0, max(1, rows), at_once)]
