"""A 4-bit layer on a CPU becomes one of our kernel's, and computes with the same weights."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from qwen_app.linear import cpp_int4_linear
from qwen_app.linear.cpp_int4_linear import CppInt4Linear, use_cpp
from qwen_app.linear.few_rows import use_few_rows
from qwen_app.linear.int4_linear import Int4Linear
from qwen_app.linear.own_kernels import multiplies_4_bits_on_a_cpu
from tests.linear.tiles import CPU, random_weight

serves = pytest.mark.skipif(not multiplies_4_bits_on_a_cpu(), reason="needs g++ and AVX2")


def layer_of(out_features: int, columns: int, group: int, bias: torch.Tensor | None = None) -> Int4Linear:
    return Int4Linear.of(random_weight(out_features, columns, group), bias, CPU)


@serves
@pytest.mark.parametrize("bias", [False, True])
def test_it_computes_what_torchs_does_and_closer(bias: bool) -> None:
    weight, added = random_weight(112, 192, 64), torch.randn(112) if bias else None
    layer = Int4Linear.of(weight, added, CPU)
    input = torch.randn(2, 5, 192)
    before = layer(input)
    use_cpp(layer)
    assert isinstance(layer, CppInt4Linear)
    expected = nn.functional.linear(input, weight.dequantised(), added)
    assert (layer(input) - expected).norm() < 0.1 * (before - expected).norm()
    assert torch.equal(layer(input[0]), layer(input)[0])
    assert torch.equal(layer(input.transpose(0, 1)), layer(input).transpose(0, 1))  # rows that lie apart
    torch.testing.assert_close(layer(input.bfloat16()).float(), before, atol=0.5, rtol=2e-2)


@serves
def test_its_weights_are_those_it_had() -> None:
    layer = layer_of(112, 192, 32)
    before, held = layer.dequantised_transposed(torch.float32), layer.packed.nbytes + layer.scales_and_zeros.nbytes
    use_cpp(layer)
    assert torch.equal(layer.dequantised_transposed(torch.float32), before)
    assert layer.packed.nbytes + layer.scales_and_zeros.nbytes == held
    packed = layer.packed
    use_cpp(layer)  # once is enough
    assert layer.packed is packed


@serves
def test_all_4_bit_layers_of_a_model_become_ours() -> None:
    model = nn.Sequential(layer_of(64, 64, 32), nn.Linear(64, 64), layer_of(64, 64, 32))
    use_few_rows(model, lambda: frozenset())
    assert [type(layer) for layer in model] == [CppInt4Linear, nn.Linear, CppInt4Linear]


def test_where_our_kernel_does_not_serve_torchs_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpp_int4_linear, "multiplies_4_bits_on_a_cpu", lambda: False)
    layer = layer_of(64, 64, 32)
    use_cpp(layer)
    assert type(layer) is Int4Linear


def test_what_torch_packs_in_a_way_not_known_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpp_int4_linear, "tile_of", lambda: None)
    layer = layer_of(64, 64, 32)
    use_cpp(layer)
    assert type(layer) is Int4Linear
