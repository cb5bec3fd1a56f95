"""Biases of layers that become one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch


class Biased(Protocol):
    """A linear layer that may have a bias."""

    out_features: int

    @property
    def bias(self) -> torch.Tensor | None: ...


def joined_bias(layers: Sequence[Biased]) -> torch.Tensor | None:
    """Their biases side by side, zeros where a layer has none; None where none has one."""
    like = next((layer.bias for layer in layers if layer.bias is not None), None)
    if like is None:
        return None
    return torch.cat([like.new_zeros(layer.out_features) if layer.bias is None else layer.bias for layer in layers])
