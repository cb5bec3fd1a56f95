"""Our product of 4-bit weights in C++ is that of the weights written out, by the instructions of every processor."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from qwen_app.kernels.cpu import weights as products
from qwen_app.kernels.cpu.int4 import Int4Weights, codes_of, tiles_of
from tests.examples import examples
from tests.kernels.cpu.instructions import needs_products

pytestmark = needs_products


def written_out(codes: torch.Tensor, scales_and_zeros: torch.Tensor) -> torch.Tensor:
    group = codes.shape[1] // len(scales_and_zeros)
    scales, zeros = (part.t().double().repeat_interleave(group, 1) for part in scales_and_zeros.unbind(-1))
    return (codes.double() - 8) * scales + zeros


def steps_of_8_bits(input: torch.Tensor) -> torch.Tensor:
    """From one number that an input can become to the next: of the largest of 32, or where that is far from the others
    of what lies between the lowest and the highest."""
    blocks = input.unflatten(1, (-1, 32))
    lowest, highest = blocks.amin(-1), blocks.amax(-1)
    half, largest = (highest - lowest) / 2, blocks.abs().amax(-1)
    return (torch.where(half < 0.7 * largest, half, largest) / 127).repeat_interleave(32, 1)


def multiplied(
    input: torch.Tensor,
    codes: torch.Tensor,
    scales_and_zeros: torch.Tensor,
    out_features: int | None = None,
    bias: torch.Tensor | None = None,
) -> torch.Tensor:
    tiles = tiles_of(codes, scales_and_zeros)  # which must outlive their addresses
    return products.multiplied(input, Int4Weights.of(*tiles, bias, out_features or len(codes)))


@pytest.mark.usefixtures("instructions")
def test_a_product_is_that_of_the_weights_written_out() -> None:
    @settings(max_examples=examples(40), deadline=None)
    @given(
        tiles=st.integers(1, 5),
        spare=st.integers(0, 15),
        group=st.sampled_from([32, 64, 128]),
        groups=st.integers(1, 4),
        rows=st.sampled_from([1, 2, 5, 16, 17, 40]),
        biased=st.booleans(),
        outlier=st.sampled_from([1, 50]),
        seed=st.integers(0, 99),
    )
    def holds(
        tiles: int, spare: int, group: int, groups: int, rows: int, biased: bool, outlier: float, seed: int
    ) -> None:
        numbers = torch.Generator().manual_seed(seed)
        codes = torch.randint(0, 16, (16 * tiles, group * groups), dtype=torch.uint8, generator=numbers)
        values = torch.randn(groups, 16 * tiles, 2, generator=numbers).bfloat16()
        sizes = 10.0 ** torch.arange(rows)[:, None].fmod(5)
        input = torch.randn(rows, group * groups, generator=numbers) * sizes
        input[:, ::96] *= outlier
        out_features = 16 * tiles - spare
        bias = torch.randn(out_features, generator=numbers) if biased else None
        got = multiplied(input, codes, values, out_features, bias)
        weight = written_out(codes, values)[:out_features]
        # What rounding inputs, 32 together, to 8 bits can change, with every error on one side.
        bound = (steps_of_8_bits(input).double() / 2 + 1e-5 * input.abs().double()) @ weight.abs().t()
        want = input.double() @ weight.t() + (0 if bias is None else bias)
        assert ((got - want).abs() <= bound).all()

    holds()


@pytest.mark.usefixtures("instructions")
def test_the_largest_numbers_do_not_overflow() -> None:
    codes = torch.full((16, 256), 15, dtype=torch.uint8)
    values = torch.stack((torch.ones(8, 16), torch.full((8, 16), 8.0)), -1).bfloat16()
    for sign in (1, -1):
        got = multiplied(torch.full((3, 256), sign * 2.0), codes, values)
        torch.testing.assert_close(got, torch.full((3, 16), sign * 2.0 * 15 * 256))


@pytest.mark.parametrize("spoilt", [torch.nan, torch.inf, -torch.inf])
def test_what_is_no_number_spoils_its_own_row_alone(spoilt: float) -> None:
    codes = torch.randint(0, 16, (16, 64), dtype=torch.uint8)
    input = torch.randn(3, 64)
    input[1, 40] = spoilt
    finite = multiplied(input, codes, torch.ones(2, 16, 2).bfloat16()).isfinite()
    assert finite.all(1).tolist() == [True, False, True]
    assert not finite[1].any()


def test_an_input_of_zeros_gives_zeros() -> None:
    codes = torch.randint(0, 16, (16, 64), dtype=torch.uint8)
    got = multiplied(torch.zeros(2, 64), codes, torch.ones(2, 16, 2).bfloat16())
    assert got.eq(0).all()


def test_what_is_packed_is_found_again() -> None:
    codes = torch.randint(0, 16, (48, 96), dtype=torch.uint8)
    packed, values = tiles_of(codes, torch.rand(3, 48, 2).bfloat16())
    assert torch.equal(codes_of(packed), codes)
    assert packed.numel() == codes.numel() // 2
    assert values.shape == (3, 3, 16, 2)
