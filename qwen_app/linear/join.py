"""Join: layers that read the same input become one layer, whose output is all of theirs side by side.

Nothing is held twice. Plain layers keep views of the whole's weight; packed ones, which cannot be cut where they lie,
give way to parts of the whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar, cast

import torch
from torch import nn

from qwen_app.linear.bias import joined_bias
from qwen_app.linear.int4_linear import Int4Linear, join_int4
from qwen_app.linear.int8_linear import Int8Linear, join_int8
from qwen_app.linear.packed_linear import PackedLinear

Layer = TypeVar("Layer", bound=nn.Module)


class JoinedPart(nn.Module):
    """Outputs ``start`` to ``end`` of ``whole``: what a layer computes that has become part of it."""

    def __init__(self, whole: nn.Module, start: int, end: int) -> None:
        super().__init__()
        self.whole = whole
        self._start, self._end = start, end

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        outputs: torch.Tensor = self.whole(input)
        return outputs[..., self._start : self._end]


class SideBySide(nn.Module):
    """Layers of a format that cannot be joined, called one after the other."""

    def __init__(self, layers: Sequence[nn.Module]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return torch.cat([layer(input) for layer in self.layers], -1)


def joined(owner: nn.Module, names: Sequence[str]) -> nn.Module:
    """One layer for those of ``owner``, which need no memory of their own from then on."""
    layers = [owner.get_submodule(name) for name in names]
    if parts := _all_of(JoinedPart, layers):  # for another engine of the same model
        return parts[0].whole
    whole = _whole(layers)
    if isinstance(whole, Int4Linear | Int8Linear):
        end = 0
        for name, layer in zip(names, cast("list[PackedLinear]", layers), strict=True):
            start, end = end, end + layer.out_features
            setattr(owner, name, JoinedPart(whole, start, end))
    return whole


def _whole(layers: Sequence[nn.Module]) -> nn.Module:
    if plain := _all_of(nn.Linear, layers):
        return _join_plain(plain)
    if four_bit := _all_of(Int4Linear, layers):
        return join_int4(four_bit) or SideBySide(layers)
    if eight_bit := _all_of(Int8Linear, layers):
        return join_int8(eight_bit)
    return SideBySide(layers)


def _all_of(kind: type[Layer], layers: Sequence[nn.Module]) -> list[Layer]:
    """The layers if all are of exactly this kind, else none: a subclass, as bitsandbytes', may compute otherwise."""
    found = [layer for layer in layers if isinstance(layer, kind) and type(layer) is kind]
    return found if len(found) == len(layers) else []


@torch.no_grad()
def _join_plain(layers: Sequence[nn.Linear]) -> nn.Linear:
    whole = nn.Linear(layers[0].in_features, sum(layer.out_features for layer in layers), bias=False, device="meta")
    weights: list[torch.Tensor] = [layer.weight for layer in layers]
    whole.weight = nn.Parameter(torch.cat(weights), requires_grad=False)
    bias = joined_bias(layers)
    if bias is not None:
        whole.bias = nn.Parameter(bias, requires_grad=False)
    parts = whole.weight.split([layer.out_features for layer in layers])
    for layer, part in zip(layers, parts, strict=True):
        layer.weight.data = part
    return whole
