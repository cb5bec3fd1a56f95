"""Linear layers for a few rows at once, what a batch of decoding answers is: by the way that is fastest here.

In 4 and 8 bits by our own kernels. In float32 on a CPU a product may be computed as ``input @ weight.T`` or as
``(weight @ input.T).T``. Which is faster for so many rows depends on the processor and on the library torch calls there
(up to a half, either way), so it is measured.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import torch
from torch import nn
from torch.nn.functional import linear

from qwen_app.linear.cpp_linear import use_cpp
from qwen_app.linear.cuda_linear import use_cuda
from qwen_app.linear.fastest import best_s

MEASURED_ROWS = (2, 3, 4, 6, 8, 12, 16, 24, 32, 48)
MEASURED_WEIGHTS = (2048, 1024)  # out and in features of the layer that is timed: 8 MB, as large as caches
CLEAR_GAIN = 0.93  # of the usual order's time; less is noise
WORTH_IT_NUMBERS = 100_000  # weights; in a smaller layer the order does not matter


class FewRowsLinear(nn.Linear):
    """An ``nn.Linear`` that turns the product around for inputs of ``turned`` rows. The weights stay as they are."""

    turned: frozenset[int]

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        rows = input.numel() // self.in_features
        if rows not in self.turned:
            return linear(input, self.weight, self.bias)
        output = torch.mm(self.weight, input.reshape(rows, self.in_features).t()).t()
        if self.bias is not None:
            output = output + self.bias
        return output.reshape(*input.shape[:-1], self.out_features)


def use_few_rows(model: nn.Module, measure: Callable[[], frozenset[int]] | None = None) -> None:
    """Let ``model``'s layers of 4 and 8 bits use our kernels where they serve, and its large float32 layers on the CPU
    be computed in the order that ``measure`` finds faster."""
    use_cuda(model)
    use_cpp(model)
    layers = [module for module in model.modules() if type(module) is nn.Linear and _may_gain(module.weight)]
    turned = (measure or measured)() if layers else frozenset()
    for layer in layers if turned else ():
        layer.__class__ = FewRowsLinear
        assert isinstance(layer, FewRowsLinear)
        layer.turned = turned


def measured() -> frozenset[int]:
    """Numbers of rows for which this machine, with the threads torch now has, is clearly faster turned around."""
    return _measured(torch.get_num_threads())


@cache
@torch.inference_mode()
def _measured(threads: int) -> frozenset[int]:
    out_features, in_features = MEASURED_WEIGHTS
    weight = torch.ones(out_features, in_features)
    faster: list[int] = []
    for rows, following in zip(MEASURED_ROWS, (*MEASURED_ROWS[1:], MEASURED_ROWS[-1] + 1), strict=True):
        input = torch.ones(rows, in_features)
        usual_s, turned_s = best_s(lambda: linear(input, weight), lambda: torch.mm(weight, input.t()))  # noqa: B023
        if turned_s < CLEAR_GAIN * usual_s:
            faster += range(rows, following)
    return frozenset(faster)


def _may_gain(weight: torch.Tensor) -> bool:
    return weight.device.type == "cpu" and weight.dtype == torch.float32 and weight.numel() >= WORTH_IT_NUMBERS
