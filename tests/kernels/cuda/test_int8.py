"""Products of 8-bit weights in Triton equal the same in torch."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from qwen_app.kernels.cuda.int8 import MOST_ROWS, int8_product
from qwen_app.linear.int8_linear import Int8Weight


@settings(max_examples=4)
@given(rows=st.integers(1, MOST_ROWS), outputs=st.integers(1, 70), columns=st.sampled_from([30, 192]))
def test_the_8_bit_product(rows: int, outputs: int, columns: int) -> None:
    torch.manual_seed(outputs)
    weight = Int8Weight.of(torch.randn(outputs, columns))
    given_rows = torch.randn(rows, columns).bfloat16()
    want = given_rows.float() @ weight.dequantised().t()
    got = int8_product(given_rows.float(), weight.codes, weight.scales)  # the interpreter knows no bfloat16 products
    torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-4)
