"""All layers of a decode step in C++, by one call: between calls from Python a small model waits longer than for its
weights."""

from __future__ import annotations

from collections.abc import Sequence
from ctypes import Structure, byref, c_float, c_int64, c_void_p
from dataclasses import dataclass

import torch

from qwen_app.kernels.cpu.compile import library
from qwen_app.kernels.cpu.weights import PackedWeights
from qwen_app.kernels.step_kernels import Heads

MOST_PARTS = 3  # of a projection: as layers.hpp has it


@dataclass(frozen=True, slots=True)
class LayerTensors:
    """What one layer computes with: norms ``[hidden size]``, the cells of its keys and values, and its projections,
    each of up to ``MOST_PARTS`` weights whose outputs lie side by side."""

    attention_norm: torch.Tensor
    mlp_norm: torch.Tensor
    keys: torch.Tensor
    values: torch.Tensor
    qkv: Sequence[PackedWeights]
    output: Sequence[PackedWeights]
    gate_up: Sequence[PackedWeights]
    down: Sequence[PackedWeights]


class ProjectionPart(Structure):
    """As layers.hpp has it."""

    _fields_ = (("bits", c_int64), ("weights", PackedWeights))


class Projection(Structure):
    """As layers.hpp has it."""

    _fields_ = (("parts", ProjectionPart * MOST_PARTS),)


class Layer(Structure):
    """As layers.hpp has it."""

    _fields_ = (
        *((name, c_void_p) for name in ("attention_norm", "head_norms", "mlp_norm", "keys", "values")),
        *((name, Projection) for name in ("qkv", "output", "gate_up", "down")),
    )


class Shape(Structure):
    """As layers.hpp has it."""

    _fields_ = (
        *((name, c_int64) for name in ("hidden_size", "query_heads", "kv_heads", "dim")),
        *((name, c_float) for name in ("eps", "scaling")),
    )


class Rows(Structure):
    """As layers.hpp has it."""

    _fields_ = (("count", c_int64), *((name, c_void_p) for name in ("cos", "sin", "cells", "first_cells", "ends")))


class CppLayers:
    """Layers of one shape, whose projections are products of 4 or 8-bit weights. See StepKernels and
    ``decode_attention``.

    ``heads`` of each layer; ``eps`` and ``scaling`` are those of all.
    """

    def __init__(
        self, layers: Sequence[LayerTensors], heads: Sequence[Heads], hidden_size: int, eps: float, scaling: float
    ) -> None:
        self._layers = tuple(
            layers
        )  # whose tensors must outlive their addresses; weights live as long as the decoder's layers
        self._heads = tuple(heads)
        self._addresses = (Layer * len(layers))(
            *(_addresses(layer, own) for layer, own in zip(layers, heads, strict=True))
        )
        self._shape = Shape(hidden_size, heads[0].query, heads[0].kv, heads[0].dim, eps, scaling)
        self._through = library().qwen_layers
        self._through.argtypes = (c_void_p, c_int64, *[c_void_p] * 4)
        self._through.restype = None

    def __call__(
        self,
        hidden: torch.Tensor,
        rotation: tuple[torch.Tensor, torch.Tensor],
        cells: torch.Tensor,
        first_cells: torch.Tensor,
        ends: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """``hidden`` ``[rows, hidden size]``, changed in place, and what is yet to be added to it. A token a row: its
        angles, the cell of its key and value, and what it sees."""
        added = torch.empty_like(hidden)
        rows = Rows(len(ends), *(part.data_ptr() for part in (*rotation, cells, first_cells, ends)))
        self._through(
            *(self._addresses, len(self._layers), byref(self._shape), byref(rows)),
            *(hidden.data_ptr(), added.data_ptr()),
        )
        return hidden, added


def _addresses(layer: LayerTensors, heads: Heads) -> Layer:
    norms = heads.norms.data_ptr() if heads.norms is not None else None
    return Layer(
        *(layer.attention_norm.data_ptr(), norms, layer.mlp_norm.data_ptr()),
        *(layer.keys.data_ptr(), layer.values.data_ptr()),
        *map(_projection, (layer.qkv, layer.output, layer.gate_up, layer.down)),
    )


def _projection(parts: Sequence[PackedWeights]) -> Projection:
    return Projection((ProjectionPart * MOST_PARTS)(*(ProjectionPart(weights.bits, weights) for weights in parts)))
