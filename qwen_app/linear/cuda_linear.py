"""Linear layers of 4-bit weights on a card by our own kernels in CUDA C++."""

from __future__ import annotations

import torch
from torch import nn

from qwen_app.linear.int4_linear import Int4Linear
from qwen_app.linear.own_kernels import multiplies_4_bits

MOST_FEW_ROWS = 48  # three times the weights from the L2 cache; beyond, unpacking them once is cheaper


class CudaInt4Linear(Int4Linear):
    """An Int4Linear whose ``scales_and_zeros`` lie as ``kernels.cuda.int4.scale_tiles_of`` gives them."""

    def _few(self, rows: torch.Tensor) -> torch.Tensor:
        from qwen_app.kernels.cuda.int4 import int4_product

        return int4_product(rows, self.packed, self.scales_and_zeros, self.bias if self.few_with_bias else None)

    def dequantised_transposed(self, dtype: torch.dtype) -> torch.Tensor:
        from qwen_app.kernels.cuda.int4 import int4_unpacked

        return int4_unpacked(self.packed, self.scales_and_zeros).to(dtype).t()

    def _most_few_rows(self) -> int:
        return MOST_FEW_ROWS


def use_cuda(model: nn.Module) -> None:
    """Make ``model``'s layers of 4 bits ours where they are on a card that our kernels serve: their scales lie anew.

    The kernels are compiled and checked now, not within somebody's first prompt."""
    for layer in model.modules():
        if type(layer) is not Int4Linear or not layer.packed.is_cuda:
            continue
        if multiplies_4_bits(layer.packed.device, layer.group):
            _use_cuda(layer)


def _use_cuda(layer: Int4Linear) -> None:
    from qwen_app.kernels.cuda.int4 import scale_tiles_of

    layer.few_with_bias = _fits_bias(layer.bias, layer.scales_and_zeros)
    layer.scales_and_zeros = scale_tiles_of(layer.scales_and_zeros, layer.group)
    layer.__class__ = CudaInt4Linear


def _fits_bias(bias: torch.Tensor | None, scales_and_zeros: torch.Tensor) -> bool:
    """Whether our kernel can add it: in its numbers, one for each of its outputs."""
    return bias is not None and bias.dtype == torch.bfloat16 and len(bias) == scales_and_zeros.shape[1]
