"""Our product of 8-bit weights in C++ is that of the weights written out."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from qwen_app.kernels.cpu import weights as products
from qwen_app.kernels.cpu.int8 import Int8Weights, rows_of, tiles_of
from tests.examples import examples
from tests.kernels.cpu.instructions import needs_products


def random_weight(groups: int, out_features: int, columns: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    numbers = torch.Generator().manual_seed(seed)
    codes = torch.randint(-127, 128, (groups, out_features, columns), dtype=torch.int8, generator=numbers)
    return codes, torch.rand(groups, out_features, generator=numbers).bfloat16()


def written_out(codes: torch.Tensor, scales: torch.Tensor) -> torch.Tensor:
    return (codes.double() * scales.double()[..., None]).transpose(0, 1).flatten(1)


def multiplied(
    input: torch.Tensor, codes: torch.Tensor, scales: torch.Tensor, bias: torch.Tensor | None = None
) -> torch.Tensor:
    tiles = tiles_of(codes, scales)  # which must outlive their addresses
    return products.multiplied(input, Int8Weights.of(*tiles, bias, codes.shape[1]))


@needs_products
@pytest.mark.usefixtures("instructions")
def test_a_product_is_that_of_the_weights_written_out() -> None:
    @settings(max_examples=examples(40), deadline=None)
    @given(
        out_features=st.integers(1, 70),
        columns=st.sampled_from([16, 48, 144]),
        groups=st.integers(1, 4),
        rows=st.sampled_from([1, 2, 5, 16, 17, 40]),
        biased=st.booleans(),
        seed=st.integers(0, 99),
    )
    def holds(out_features: int, columns: int, groups: int, rows: int, biased: bool, seed: int) -> None:
        codes, scales = random_weight(groups, out_features, columns, seed)
        input = torch.randn(rows, groups * columns) * 10.0 ** torch.arange(rows)[:, None].fmod(5)
        bias = torch.randn(out_features) if biased else None
        weight = written_out(codes, scales)
        # What rounding an input to 16 bits of the largest of its 16 can change, with every error on one side.
        largest = input.unflatten(1, (-1, 16)).abs().amax(-1).repeat_interleave(16, 1).double()
        bound = (largest / 32767) @ weight.abs().t() + 1e-4 * (input.abs().double() @ weight.abs().t())
        want = input.double() @ weight.t() + (0 if bias is None else bias)
        assert ((multiplied(input, codes, scales, bias) - want).abs() <= bound).all()

    holds()


@needs_products
@pytest.mark.usefixtures("instructions")
@pytest.mark.parametrize("sign", [1, -1])
def test_the_largest_numbers_do_not_overflow(sign: int) -> None:
    codes, scales = torch.full((1, 16, 256), sign * 127, dtype=torch.int8), torch.ones(1, 16).bfloat16()
    got = multiplied(torch.full((3, 256), -2.0), codes, scales)
    torch.testing.assert_close(got, torch.full((3, 16), -2.0 * sign * 127 * 256))


@needs_products
@pytest.mark.parametrize("spoilt", [torch.nan, torch.inf])
def test_what_is_no_number_spoils_its_own_row_alone(spoilt: float) -> None:
    codes, scales = random_weight(2, 20, 32)
    input = torch.randn(3, 64)
    input[1, 40] = spoilt
    finite = multiplied(input, codes, scales).isfinite()
    assert finite.all(1).tolist() == [True, False, True]
    assert not finite[1].any()


def test_rows_are_found_again() -> None:
    codes, scales = random_weight(3, 35, 32)
    tiles = tiles_of(codes, scales)
    rows = torch.tensor([[0, 34], [16, 15]])
    assert torch.equal(rows_of(*tiles, rows, torch.float32), written_out(codes, scales).float()[rows])
