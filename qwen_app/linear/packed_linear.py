"""What layers of packed weights share: few rows are multiplied by them as they lie, many once they are unpacked."""

from __future__ import annotations

import torch
from torch import nn


class PackedLinear(nn.Module):
    """``input @ weight.T + bias``, summed in float32. The result has the input's dtype."""

    in_features: int
    out_features: int
    bias: torch.Tensor | None
    few_with_bias = False  # whether ``_few`` adds it itself

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        # On a CPU a decode step is a hundred products of ten microseconds: what changes nothing is not asked for.
        flat = input.dim() == 2
        rows = input if flat else input.reshape(-1, self.in_features)
        if rows.dtype != torch.bfloat16:
            rows = rows.bfloat16()
        few = rows.shape[0] <= self._most_few_rows()
        output = self._few(rows) if few else self._many(rows)
        if output.shape[1] != self.out_features:  # what fills up the last tile
            output = output[:, : self.out_features].contiguous()
        if output.dtype != input.dtype:
            output = output.to(input.dtype)
        if self.bias is not None and not (few and self.few_with_bias):
            output = output + self.bias
        return output if flat else output.reshape(*input.shape[:-1], self.out_features)

    def _most_few_rows(self) -> int:
        """How many rows ``_few`` is the faster for, on the device of the weights."""
        raise NotImplementedError

    def _few(self, rows: torch.Tensor) -> torch.Tensor:
        """``rows @ weight.T`` of bfloat16 ``rows`` ``[rows, in]``, by the kernel that reads the packed weights; the
        bias too where ``few_with_bias``."""
        raise NotImplementedError

    def _many(self, rows: torch.Tensor) -> torch.Tensor:
        """As ``_few``, the weights unpacked first."""
        raise NotImplementedError
