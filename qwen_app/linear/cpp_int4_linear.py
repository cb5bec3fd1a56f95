"""Linear layers of 4-bit weights on a CPU by our own kernel in C++, for any number of rows."""

from __future__ import annotations

import torch

from qwen_app.kernels.cpu.int4 import Int4Weights, codes_of, int4_product, tiles_of
from qwen_app.linear.int4_linear import Int4Linear
from qwen_app.linear.own_kernels import multiplies_4_bits_on_a_cpu
from qwen_app.linear.tile_layout import tile_of, unpacked_transposed


class CppInt4Linear(Int4Linear):
    """``input @ weight.T + bias`` of inputs rounded to 15 bits, summed in float32. The result has the input's dtype.

    ``packed`` and ``scales_and_zeros`` lie as ``kernels.cpu.int4.tiles_of`` gives them; ``bias`` is float32.
    """

    @property
    def weights(self) -> Int4Weights:
        """The addresses of what this layer holds."""
        return Int4Weights.of(self.packed, self.scales_and_zeros, self.bias, self.out_features)

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        rows = input if input.dim() == 2 else input.reshape(-1, self.in_features)
        if rows.dtype != torch.float32:
            rows = rows.float()
        output = int4_product(rows.contiguous(), self.weights)
        if output.dtype != input.dtype:
            output = output.to(input.dtype)
        return output if input.dim() == 2 else output.reshape(*input.shape[:-1], self.out_features)

    def dequantised_transposed(self, dtype: torch.dtype) -> torch.Tensor:
        scales, zeros = self.scales_and_zeros.transpose(0, 1).flatten(1, 2).to(dtype).unbind(-1)
        steps = codes_of(self.packed).t().to(dtype).unflatten(0, (-1, self.group)).sub_(8)
        weights: torch.Tensor = torch.addcmul(zeros[:, None], steps, scales[:, None]).flatten(0, 1)
        return weights


def use_cpp(layer: Int4Linear) -> None:
    """Make ``layer`` one of ours where it is on a CPU that our kernel serves: what it holds is packed anew."""
    if layer.packed.is_cuda or isinstance(layer, CppInt4Linear):
        return
    if tile_of() is None or not multiplies_4_bits_on_a_cpu():
        return
    codes = unpacked_transposed(layer.packed, layer.in_features, torch.uint8).t()
    layer.packed, layer.scales_and_zeros = tiles_of(codes, layer.scales_and_zeros)
    layer.bias = layer.bias.float().contiguous() if layer.bias is not None else None
    layer.__class__ = CppInt4Linear
