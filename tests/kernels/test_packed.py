"""Products and unpacking of 8 and 4-bit weights in Triton equal the same in torch."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from qwen_app.kernels.packed import MOST_ROWS, int4_unpacked, int8_product
from qwen_app.linear.int8_linear import Int8Weight
from qwen_app.linear.tile_layout import unpacked_cuda


@settings(max_examples=4)
@given(rows=st.integers(1, MOST_ROWS), outputs=st.integers(1, 70), columns=st.sampled_from([30, 192]))
def test_the_8_bit_product(rows: int, outputs: int, columns: int) -> None:
    torch.manual_seed(outputs)
    weight = Int8Weight.of(torch.randn(outputs, columns))
    given_rows = torch.randn(rows, columns).bfloat16()
    want = given_rows.float() @ weight.dequantised().t()
    got = int8_product(given_rows.float(), weight.codes, weight.scales)  # the interpreter knows no bfloat16 products
    torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("outputs", "columns", "group"), [(8, 128, 32), (16, 256, 64)])
def test_4_bit_codes_lie_where_the_layout_says(outputs: int, columns: int, group: int) -> None:
    torch.manual_seed(columns)
    packed = torch.randint(-(2**31), 2**31 - 1, (outputs // 8, columns // 128, 32, 4), dtype=torch.int64).int()
    scales_and_zeros = torch.randn(columns // group, outputs, 2).bfloat16()
    steps = unpacked_cuda(packed, columns).float() - 8
    scales, zeros = (part.t().repeat_interleave(group, 1).float() for part in scales_and_zeros.unbind(-1))
    got = int4_unpacked(packed, scales_and_zeros).float()  # the interpreter cuts bfloat16 off, a card rounds it
    torch.testing.assert_close(got, steps * scales + zeros, rtol=2**-7, atol=1e-30)
    scales_and_zeros[..., 0], scales_and_zeros[..., 1] = 1, 8
    assert torch.equal(int4_unpacked(packed, scales_and_zeros).float(), steps + 8)
