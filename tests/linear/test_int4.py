"""4-bit layers compute with the weights they were given, in any number of rows, and lose what rounding loses."""

from __future__ import annotations

import weakref

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from qwen_app.linear.int4_linear import Int4Linear, most_rows_packed, problem_on
from qwen_app.linear.int4_weight import GROUP_SIZES, Int4Weight, fits_int4, quantised
from qwen_app.linear.join import SideBySide, joined
from qwen_app.linear.tile_layout import tile_of, unpacked_cuda, unpacked_transposed
from tests.examples import examples
from tests.linear.tiles import CPU, packed_as_on_a_card, random_weight


@settings(max_examples=examples(20))
@given(
    group=st.sampled_from(GROUP_SIZES[:3]),
    groups=st.integers(1, 4),
    out_features=st.integers(1, 9).map(lambda sixteens: 16 * sixteens),
    rows=st.sampled_from([1, 3, 4, 5, 70, 130]),
    bias=st.booleans(),
)
def test_a_layer_is_the_product_with_its_weights(
    group: int, groups: int, out_features: int, rows: int, bias: bool
) -> None:
    weight = random_weight(out_features, group * groups, group)
    added = torch.randn(out_features) if bias else None
    layer = Int4Linear.of(weight, added, CPU)
    input = torch.randn(2, rows, group * groups).bfloat16().float()
    expected = nn.functional.linear(input, weight.dequantised(), added)
    torch.testing.assert_close(layer(input), expected, atol=2e-2, rtol=2e-2)
    assert (layer.in_features, layer.out_features) == (group * groups, out_features)


def test_many_rows_give_what_few_rows_give() -> None:
    layer = Int4Linear.of(random_weight(96, 128, 32), None, CPU)
    input = torch.randn(most_rows_packed() + 1, 128)
    torch.testing.assert_close(layer(input)[:3], layer(input[:3]), atol=1e-2, rtol=1e-2)
    torch.testing.assert_close(layer(input[:1]), layer(input[:3])[:1], atol=0, rtol=0)  # a row alone or in company


def test_a_weight_that_was_4_bit_is_found_again() -> None:
    codes = torch.randint(0, 16, (32, 128), dtype=torch.uint8)
    codes[:, ::32], codes[:, 1::32] = 0, 15  # a file's groups reach from end to end
    scales, minimums = torch.rand(32, 4).half().float() + 0.01, -torch.rand(32, 4).half().float()
    weight = Int4Weight(codes, scales, minimums)
    found = quantised(weight.dequantised(), 32)
    assert torch.equal(found.codes, codes)
    torch.testing.assert_close(found.dequantised(), weight.dequantised(), atol=1e-6, rtol=1e-6)


def test_rounding_errs_less_than_the_plain_range_does() -> None:
    weight = torch.randn(64, 256, generator=torch.Generator().manual_seed(2))
    weight[:, ::64] *= 4  # outliers
    groups = weight.unflatten(1, (-1, 64))
    low, step = groups.amin(-1, keepdim=True), (groups.amax(-1, keepdim=True) - groups.amin(-1, keepdim=True)) / 15
    plain = (((groups - low) / step).round() * step + low).flatten(1)
    error = (quantised(weight, 64).dequantised() - weight).square().mean()
    assert error < (plain - weight).square().mean()


def test_a_weight_of_one_value_stays() -> None:
    weight = torch.full((16, 32), 0.37)
    torch.testing.assert_close(quantised(weight, 32).dequantised(), weight)


def test_whole_tiles_are_joined_and_others_called_in_turn() -> None:
    whole = [
        Int4Linear.of(random_weight(64 * n, 64, 32, n), torch.randn(64 * n) if n == 2 else None, CPU) for n in (1, 2)
    ]
    ragged = [Int4Linear.of(random_weight(48, 64, 32, n), None, CPU) for n in (1, 2)]
    input = torch.randn(3, 64)
    for layers, kind in ((whole, Int4Linear), (ragged, SideBySide)):
        expected = [layer(input) for layer in layers]
        owner = nn.ModuleDict(dict(zip("ab", layers, strict=True)))
        one = joined(owner, "ab")
        assert type(one) is kind
        assert torch.equal(one(input), torch.cat(expected, -1))
        assert all(torch.equal(part(input), of_part) for part, of_part in zip(owner.values(), expected, strict=True))


def test_joined_layers_are_held_once_and_joined_once() -> None:
    layers = [Int4Linear.of(random_weight(64, 64, 32, n), None, CPU) for n in (1, 2)]
    owner = nn.ModuleDict(dict(zip("ab", layers, strict=True)))
    held = [weakref.ref(layer.packed) for layer in layers]
    del layers
    whole = joined(owner, "ab")
    assert [layer() for layer in held] == [None, None]
    assert joined(owner, "ab") is whole


def test_a_right_kernel_is_found_right_and_a_wrong_one_told(monkeypatch: pytest.MonkeyPatch) -> None:
    assert problem_on(CPU) == ""
    few = Int4Linear._few
    monkeypatch.setattr(Int4Linear, "_few", lambda layer, rows: few(layer, rows) * 1.05)
    assert problem_on(CPU).startswith("are wrong (relative error ")
    # What a card older than Ampere does: it launches, and computes nothing.
    monkeypatch.setattr(Int4Linear, "_few", lambda layer, rows: torch.full((len(rows), 64), torch.nan))
    assert problem_on(CPU).startswith("are wrong")


def test_a_kernel_that_is_not_for_this_device_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(layer: Int4Linear, rows: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("_weight_int4pack_mm_cuda is not available for build.\nException raised from")

    monkeypatch.setattr(Int4Linear, "_few", refuse)
    assert problem_on(CPU) == "do not work (_weight_int4pack_mm_cuda is not available for build.)"


def test_a_card_takes_whole_tiles_of_columns() -> None:
    assert fits_int4(576, 576, 32)
    assert not fits_int4(576, 576, 32, on_a_card=True)  # the built-in model's
    assert fits_int4(3584, 18_944, 32, on_a_card=True)  # Qwen2.5-7B's


def test_the_cpus_packing_is_known_and_undone() -> None:
    assert tile_of() in (32, 64)
    codes = random_weight(128, 96, 32).codes
    packed = torch.ops.aten._convert_weight_to_int4pack_for_cpu(codes.int(), 1)
    assert torch.equal(unpacked_transposed(packed, 96, torch.uint8), codes.t())


def test_the_cards_packing_is_undone() -> None:
    codes = random_weight(16, 256, 32).codes
    assert torch.equal(unpacked_cuda(packed_as_on_a_card(codes), 256), codes)


@pytest.mark.gpu
def test_on_a_card() -> None:
    card = torch.device("cuda")
    weight = random_weight(192, 256, 64)
    layer = Int4Linear.of(weight, None, card)
    for rows in (1, 8, 100):  # as they are packed, and unpacked
        input = torch.randn(rows, 256, dtype=torch.bfloat16, device=card)
        expected = input.float() @ weight.dequantised().to(card).t()
        assert (layer(input).float() - expected).norm() < 1e-2 * expected.norm(), rows  # scales are bfloat16
