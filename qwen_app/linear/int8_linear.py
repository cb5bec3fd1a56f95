"""Linear layers and embeddings of 8-bit weights: output heads, and what a file has in more than 4 bits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from qwen_app.linear.bias import joined_bias
from qwen_app.linear.own_kernels import multiplies_8_bits
from qwen_app.linear.packed_linear import PackedLinear
from qwen_app.linear.row_slices import row_slices

BLOCKS = 4  # of columns, each with scales of its own: half the error of one scale a row, and no slower
MOST_ROWS_ON_A_CARD = 16  # our kernel's one tile, whatever is in it
STEP_OF_PACKED = 16  # columns; torch's kernel for AVX-512 takes no fewer, and reads and writes beyond the end of others
MOST_ROWS_PACKED = 8  # torch's kernel walks the weights once for so many rows; beyond, a plain product is faster


@dataclass(frozen=True, slots=True)
class Int8Weight:
    """Block ``b`` of the columns is ``codes[b] * scales[b][:, None]``.

    ``codes``: int8 ``[blocks, out, in / blocks]``; ``scales``: bfloat16 ``[blocks, out]``.
    """

    codes: torch.Tensor
    scales: torch.Tensor

    @classmethod
    def of(cls, weight: torch.Tensor) -> Int8Weight:
        """``weight`` ``[out, in]`` rounded to 127 steps on each side of zero."""
        return cls.stacked([cls._of_rows(rows) for rows in row_slices(weight)])

    @classmethod
    def stacked(cls, parts: Sequence[Int8Weight]) -> Int8Weight:
        """One weight with the rows of all ``parts``."""
        return cls(torch.cat([part.codes for part in parts], 1), torch.cat([part.scales for part in parts], 1))

    @classmethod
    def _of_rows(cls, weight: torch.Tensor) -> Int8Weight:
        columns = weight.shape[1]
        blocks = BLOCKS if columns % (16 * BLOCKS) == 0 else 1
        parts = weight.float().unflatten(1, (blocks, columns // blocks)).transpose(0, 1)
        scales = _up_to_bfloat16(parts.abs().amax(-1) / 127)
        codes = (parts / scales.float().clamp(min=torch.finfo(torch.float32).tiny)[..., None]).round()
        return cls(codes.to(torch.int8).contiguous(), scales.contiguous())

    def dequantised(self) -> torch.Tensor:
        """float32 ``[out, in]``."""
        return (self.codes.float() * self.scales.float()[..., None]).transpose(0, 1).flatten(1)


def _up_to_bfloat16(values: torch.Tensor) -> torch.Tensor:
    """The next bfloat16 numbers that are not below ``values`` (at least 0): codes made with them need no rounding."""
    near = values.bfloat16()
    return torch.where(near.float() < values, torch.nextafter(near, near.new_tensor(torch.inf)), near)


class Int8Linear(PackedLinear):
    """``input @ weight.T + bias`` of bfloat16 inputs, summed in float32. The result has the input's dtype."""

    codes: torch.Tensor
    scales: torch.Tensor
    bias: torch.Tensor | None

    def __init__(self, weight: Int8Weight, bias: torch.Tensor | None) -> None:
        super().__init__()
        blocks, self.out_features, columns = weight.codes.shape
        self.in_features = blocks * columns
        self.register_buffer("codes", weight.codes)
        self.register_buffer("scales", weight.scales)
        self.register_buffer("bias", bias)

    def _most_few_rows(self) -> int:
        if not self.codes.is_cuda:
            return MOST_ROWS_PACKED if self.codes.shape[-1] % STEP_OF_PACKED == 0 else 0
        return MOST_ROWS_ON_A_CARD if multiplies_8_bits(self.codes.device) else 0

    def _few(self, rows: torch.Tensor) -> torch.Tensor:
        if rows.is_cuda:
            from qwen_app.kernels.cuda.int8 import int8_product

            return int8_product(rows, self.codes, self.scales)
        output = rows.new_zeros(rows.shape[0], self.out_features, dtype=torch.float32)
        for part, codes, scales in zip(self._blocks_of(rows), self.codes, self.scales, strict=True):
            output += torch._weight_int8pack_mm(part, codes, scales)
        return output

    def _many(self, rows: torch.Tensor) -> torch.Tensor:
        dtype = torch.bfloat16 if rows.is_cuda else torch.float32  # bfloat16 products are slow on a CPU
        output = rows.new_zeros(rows.shape[0], self.out_features, dtype=torch.float32)
        for part, codes, scales in zip(self._blocks_of(rows), self.codes, self.scales, strict=True):
            output += (part.to(dtype) @ codes.t().to(dtype)) * scales
        return output

    def _blocks_of(self, rows: torch.Tensor) -> list[torch.Tensor]:
        return [part.contiguous() for part in rows.split(self.codes.shape[-1], 1)]


class Int8Embedding(nn.Module):
    """Rows of an 8-bit matrix, which may be the output head's, in ``dtype``."""

    codes: torch.Tensor
    scales: torch.Tensor

    def __init__(self, weight: Int8Weight, dtype: torch.dtype) -> None:
        super().__init__()
        self.dtype = dtype
        self.register_buffer("codes", weight.codes)
        self.register_buffer("scales", weight.scales)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """``[*ids, in]``."""
        rows = self.codes[:, ids].to(self.dtype) * self.scales[:, ids, None].to(self.dtype)
        return rows.movedim(0, -2).flatten(-2)


def join_int8(layers: Sequence[Int8Linear]) -> Int8Linear:
    """One layer for ``layers``."""
    weight = Int8Weight.stacked([Int8Weight(layer.codes, layer.scales) for layer in layers])
    return Int8Linear(weight, joined_bias(layers))
