"""Layers of 4 and 8 bits on a CPU become our kernels', and compute with the same weights."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from qwen_app.linear import cpp_linear
from qwen_app.linear.cpp_linear import CppInt4Linear, CppInt8Embedding, CppInt8Linear, use_cpp
from qwen_app.linear.few_rows import use_few_rows
from qwen_app.linear.int4_linear import Int4Linear
from qwen_app.linear.int8_linear import Int8Embedding, Int8Linear, Int8Weight
from qwen_app.linear.own_kernels import multiplies_4_bits_on_a_cpu, multiplies_8_bits_on_a_cpu
from tests.linear.tiles import CPU, random_weight

serves = pytest.mark.skipif(not multiplies_4_bits_on_a_cpu(), reason="needs g++, AVX2 and FMA")
serves_8 = pytest.mark.skipif(not multiplies_8_bits_on_a_cpu(), reason="needs g++, AVX2 and FMA")


def layer_of(out_features: int, columns: int) -> Int4Linear:
    return Int4Linear.of(random_weight(out_features, columns, 32), None, CPU)


@serves
@pytest.mark.parametrize("bias", [False, True])
def test_it_computes_what_torchs_does(bias: bool) -> None:
    weight, added = random_weight(112, 192, 64), torch.randn(112) if bias else None
    layer = Int4Linear.of(weight, added, CPU)
    input = torch.randn(2, 5, 192)
    before = layer(input)
    use_cpp(layer)
    assert isinstance(layer, CppInt4Linear)
    expected = nn.functional.linear(input, weight.dequantised(), added)
    assert (layer(input) - expected).norm() < 1e-2 * expected.norm()
    assert torch.equal(layer(input[0]), layer(input)[0])
    assert torch.equal(layer(input.transpose(0, 1)), layer(input).transpose(0, 1))  # rows that lie apart
    assert (layer(input.bfloat16()).float() - before).norm() < 2e-2 * before.norm()


@serves
def test_its_weights_are_those_it_had() -> None:
    layer = layer_of(112, 192)
    before, held = layer.dequantised_transposed(torch.float32), layer.packed.nbytes + layer.scales_and_zeros.nbytes
    use_cpp(layer)
    assert torch.equal(layer.dequantised_transposed(torch.float32), before)
    assert layer.packed.nbytes + layer.scales_and_zeros.nbytes == held
    packed = layer.packed
    use_cpp(layer)  # once is enough
    assert layer.packed is packed


@serves
def test_all_4_bit_layers_of_a_model_become_ours() -> None:
    model = nn.Sequential(layer_of(64, 64), nn.Linear(64, 64), layer_of(64, 64))
    use_few_rows(model, lambda: frozenset())
    assert [type(layer) for layer in model] == [CppInt4Linear, nn.Linear, CppInt4Linear]


def test_where_our_kernel_does_not_serve_torchs_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpp_linear, "multiplies_4_bits_on_a_cpu", lambda: False)
    layer = layer_of(64, 64)
    use_cpp(layer)
    assert type(layer) is Int4Linear


def test_what_torch_packs_in_a_way_not_known_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpp_linear, "tile_of", lambda: None)
    layer = layer_of(64, 64)
    use_cpp(layer)
    assert type(layer) is Int4Linear


@serves_8
@pytest.mark.parametrize("bias", [False, True])
def test_8_bits_are_computed_as_torch_does_and_closer(bias: bool) -> None:
    weight, added = Int8Weight.of(torch.randn(70, 192)), torch.randn(70) if bias else None
    layer = Int8Linear(weight, added)
    input = torch.randn(2, 5, 192)
    before = layer(input)
    use_cpp(layer)
    assert type(layer) is CppInt8Linear
    expected = nn.functional.linear(input, weight.dequantised(), added)
    assert (layer(input) - expected).norm() < 0.1 * (before - expected).norm()
    assert torch.equal(layer(input[0]), layer(input)[0])


class Tied(nn.Module):
    def __init__(self, weight: Int8Weight) -> None:
        super().__init__()
        self.embedding, self.head = Int8Embedding(weight, torch.float32), Int8Linear(weight, None)


@serves_8
def test_an_embedding_whose_matrix_is_the_heads_stays_so() -> None:
    tied = Tied(Int8Weight.of(torch.randn(70, 192)))
    ids = torch.tensor([[0, 69], [17, 3]])
    before = tied.embedding(ids)
    use_cpp(tied)
    assert type(tied.embedding) is CppInt8Embedding
    assert torch.equal(tied.embedding(ids), before)
    assert tied.embedding.codes.data_ptr() == tied.head.codes.data_ptr()


@serves_8
def test_an_embedding_of_its_own_stays_as_it_is() -> None:
    apart = nn.ModuleList([Int8Embedding(Int8Weight.of(torch.randn(70, 192)), torch.float32), layer_of(64, 64)])
    apart.append(Int8Linear(Int8Weight.of(torch.randn(70, 192)), None))
    use_cpp(apart)
    assert type(apart[0]) is Int8Embedding
    assert type(apart[2]) is CppInt8Linear


@serves_8
def test_columns_that_do_not_fit_stay_torchs() -> None:
    layer = Int8Linear(Int8Weight.of(torch.randn(70, 40)), None)
    use_cpp(layer)
    assert type(layer) is Int8Linear
