"""Linear layers on a CPU for a few rows at once: what a batch of decoding answers, or a small chunk of a prompt, is.

Intel's MKL, which torch calls, multiplies ``weight @ input.T`` up to a half faster than ``input @ weight.T`` when the
input has few rows; of one to three rows, and of many, the usual order is the faster one.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.functional import linear

FEW_ROWS = range(7, 49)


class FewRowsLinear(nn.Linear):
    """An ``nn.Linear`` that turns the product around where the input has few rows. The weights stay as they are."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        rows = input.numel() // self.in_features
        if rows not in FEW_ROWS:
            return linear(input, self.weight, self.bias)
        output = torch.mm(self.weight, input.reshape(rows, self.in_features).t()).t()
        if self.bias is not None:
            output = output + self.bias
        return output.reshape(*input.shape[:-1], self.out_features)


def use_few_rows(model: nn.Module) -> None:
    """Let the float32 linear layers of ``model`` that lie on the CPU be computed this way."""
    for module in model.modules():
        if type(module) is nn.Linear and module.weight.device.type == "cpu" and module.weight.dtype == torch.float32:
            module.__class__ = FewRowsLinear
