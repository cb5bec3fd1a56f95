"""A matrix cut into rows is the matrix, and what is made of it some rows at a time is what is made of it at once."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from qwen_app.linear import row_slices as module
from qwen_app.linear.cpp_linear import use_cpp
from qwen_app.linear.int4_linear import Int4Linear
from qwen_app.linear.int4_weight import quantised
from qwen_app.linear.int8_linear import Int8Weight
from qwen_app.linear.row_slices import NUMBERS_AT_ONCE, ROWS_TOGETHER, row_slices, slices_of
from tests.linear.tiles import CPU, random_weight


@given(rows=st.integers(1, 5000), numbers=st.integers(1, 20_000))
def test_slices_are_whole_tiles_and_small(rows: int, numbers: int) -> None:
    lengths = [len(range(rows)[part]) for part in slices_of(rows, numbers)]
    assert sum(lengths) == rows
    assert all(length % ROWS_TOGETHER == 0 for length in lengths[:-1])
    assert all(length * numbers <= max(NUMBERS_AT_ONCE["cpu"], ROWS_TOGETHER * numbers) for length in lengths)


def test_slices_are_the_matrix_from_top_to_bottom() -> None:
    matrix = torch.arange(700 * 900).view(700, 900)
    slices = row_slices(matrix)
    assert len(slices) > 1
    assert torch.equal(torch.cat(slices), matrix)
    assert [part.shape for part in row_slices(matrix[:0])] == [(0, 900)]


def in_4_bits(weight: torch.Tensor) -> list[torch.Tensor]:
    made = quantised(weight, 32)
    return [made.codes, made.scales, made.minimums]


def in_8_bits(weight: torch.Tensor) -> list[torch.Tensor]:
    made = Int8Weight.of(weight)
    return [made.codes, made.scales]


def packed(weight: torch.Tensor) -> list[torch.Tensor]:
    layer = Int4Linear.of(random_weight(weight.shape[0], weight.shape[1], 32), None, CPU)
    before = layer.packed
    use_cpp(layer)
    return [before, layer.packed]


@pytest.mark.parametrize("make", [in_4_bits, in_8_bits, packed])
def test_what_is_made_of_some_rows_at_a_time_is_what_is_made_at_once(
    make: Callable[[torch.Tensor], list[torch.Tensor]], monkeypatch: pytest.MonkeyPatch
) -> None:
    weight = torch.randn(200, 128, generator=torch.Generator().manual_seed(0))
    at_once = make(weight)
    monkeypatch.setattr(module, "NUMBERS_AT_ONCE", {"cpu": 1})
    assert all(torch.equal(some, whole) for some, whole in zip(make(weight), at_once, strict=True))
