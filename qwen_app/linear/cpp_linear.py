"""Linear layers of 4 and 8-bit weights on a CPU by our own kernels in C++, for any number of rows."""

from __future__ import annotations

import torch
from torch import nn

from qwen_app.kernels.cpu import int4, int8
from qwen_app.kernels.cpu.weights import PackedWeights, multiplied
from qwen_app.linear.int4_linear import Int4Linear
from qwen_app.linear.int8_linear import Int8Embedding, Int8Linear
from qwen_app.linear.own_kernels import multiplies_4_bits_on_a_cpu, multiplies_8_bits_on_a_cpu
from qwen_app.linear.packed_linear import PackedLinear
from qwen_app.linear.row_slices import row_slices
from qwen_app.linear.tile_layout import tile_of, unpacked_transposed


class CppLinear(PackedLinear):
    """``input @ weight.T + bias`` of inputs rounded to 16 bits, summed in float32. The result has the input's dtype.

    What is packed lies as ``tiles_of`` of its kernel gives it; ``bias`` is float32.
    """

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        rows = input if input.dim() == 2 else input.reshape(-1, self.in_features)
        if rows.dtype != torch.float32:
            rows = rows.float()
        output = multiplied(rows.contiguous(), self.weights)
        if output.dtype != input.dtype:
            output = output.to(input.dtype)
        return output if input.dim() == 2 else output.reshape(*input.shape[:-1], self.out_features)

    @property
    def weights(self) -> PackedWeights:
        """The addresses of what this layer holds."""
        raise NotImplementedError


class CppInt4Linear(CppLinear, Int4Linear):
    """See CppLinear."""

    @property
    def weights(self) -> int4.Int4Weights:
        return int4.Int4Weights.of(self.packed, self.scales_and_zeros, self.bias, self.out_features)

    def dequantised_transposed(self, dtype: torch.dtype) -> torch.Tensor:
        scales, zeros = self.scales_and_zeros.transpose(0, 1).flatten(1, 2).to(dtype).unbind(-1)
        steps = int4.codes_of(self.packed).t().to(dtype).unflatten(0, (-1, self.group)).sub_(8)
        weights: torch.Tensor = torch.addcmul(zeros[:, None], steps, scales[:, None]).flatten(0, 1)
        return weights


class CppInt8Linear(CppLinear, Int8Linear):
    """See CppLinear."""

    @property
    def weights(self) -> int8.Int8Weights:
        return int8.Int8Weights.of(self.codes, self.scales, self.bias, self.out_features)


class CppInt8Embedding(Int8Embedding):
    """Rows of what a CppInt8Linear holds."""

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return int8.rows_of(self.codes, self.scales, ids, self.dtype)


def use_cpp(model: nn.Module) -> None:
    """Make ``model``'s layers of 4 and 8 bits ours where they are on a CPU that our kernels serve: what they hold is
    packed anew. An embedding whose matrix is the head's stays so."""
    embeddings = {module.codes.data_ptr(): module for module in model.modules() if type(module) is Int8Embedding}
    for layer in model.modules():
        if type(layer) is Int4Linear and not layer.packed.is_cuda:
            _use_cpp_4_bits(layer)
        elif type(layer) is Int8Linear and not layer.codes.is_cuda:
            _use_cpp_8_bits(layer, embeddings.get(layer.codes.data_ptr()))


def _use_cpp_4_bits(layer: Int4Linear) -> None:
    if tile_of() is None or not multiplies_4_bits_on_a_cpu():
        return
    tiles = [
        int4.code_tiles_of(unpacked_transposed(rows, layer.in_features, torch.uint8).t())
        for rows in row_slices(layer.packed)
    ]
    layer.packed = torch.cat(tiles)
    layer.scales_and_zeros = int4.scale_tiles_of(layer.scales_and_zeros)
    layer.bias = _as_float32(layer.bias)
    layer.__class__ = CppInt4Linear


def _use_cpp_8_bits(layer: Int8Linear, embedding: Int8Embedding | None) -> None:
    if layer.codes.shape[-1] % int8.GROUP_COLUMNS or not multiplies_8_bits_on_a_cpu():
        return
    layer.codes, layer.scales = int8.tiles_of(layer.codes, layer.scales)
    layer.bias = _as_float32(layer.bias)
    layer.__class__ = CppInt8Linear
    if embedding is not None:
        embedding.codes, embedding.scales = layer.codes, layer.scales
        embedding.__class__ = CppInt8Embedding


def _as_float32(bias: torch.Tensor | None) -> torch.Tensor | None:
    return bias.float().contiguous() if bias is not None else None
