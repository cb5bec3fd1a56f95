"""8-bit layers and embeddings give what their weights say, and round finely."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from qwen_app.linear.int8_linear import Int8Embedding, Int8Linear, Int8Weight
from qwen_app.linear.join import joined


@pytest.mark.parametrize("columns", [128, 64, 24, 8])
@pytest.mark.parametrize("rows", [1, 8, 9])
def test_a_layer_is_the_product_with_its_weights(columns: int, rows: int) -> None:
    weight = Int8Weight.of(torch.randn(80, columns))
    bias = torch.randn(80)
    input = torch.randn(1, rows, columns).bfloat16().float()
    expected = nn.functional.linear(input, weight.dequantised(), bias)
    assert (Int8Linear(weight, bias)(input) - expected).norm() < 1e-2 * expected.norm()  # bfloat16 keeps 8 bits


def test_rounding_is_within_half_a_step() -> None:
    matrix = torch.randn(50, 128)
    error = (Int8Weight.of(matrix).dequantised() - matrix).abs()
    assert error.max() <= matrix.abs().max() / 127 * 0.51


def test_rows_of_zeros_stay_zeros() -> None:
    assert not Int8Weight.of(torch.zeros(4, 64)).dequantised().any()


def test_an_embedding_gives_rows() -> None:
    weight = Int8Weight.of(torch.randn(30, 64))
    ids = torch.tensor([[3, 0], [29, 3]])
    torch.testing.assert_close(Int8Embedding(weight, torch.float32)(ids), weight.dequantised()[ids])


def test_layers_are_joined() -> None:
    layers = [Int8Linear(Int8Weight.of(torch.randn(rows, 64)), None) for rows in (16, 48)]
    input = torch.randn(2, 64)
    expected = torch.cat([layer(input) for layer in layers], -1)
    owner = nn.ModuleDict(dict(zip("ab", layers, strict=True)))
    one = joined(owner, "ab")
    assert type(one) is Int8Linear
    torch.testing.assert_close(one(input), expected)
    torch.testing.assert_close(torch.cat([part(input) for part in owner.values()], -1), expected)
