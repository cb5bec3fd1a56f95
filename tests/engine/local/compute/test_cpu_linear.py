"""Linear layers for few rows give what plain ones give."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.functional import linear

from qwen_app.engine.local.compute.cpu_linear import FEW_ROWS, FewRowsLinear, use_few_rows


@pytest.mark.parametrize("rows", [1, FEW_ROWS.start, FEW_ROWS.stop - 1, FEW_ROWS.stop, 200])
@pytest.mark.parametrize("bias", [False, True])
def test_any_number_of_rows_is_the_plain_product(rows: int, bias: bool) -> None:
    model = nn.Sequential(nn.Linear(24, 40, bias=bias))
    use_few_rows(model)
    layer = model[0]
    assert isinstance(layer, FewRowsLinear)
    input = torch.randn(1, rows, 24)
    torch.testing.assert_close(layer(input), linear(input, layer.weight, layer.bias))


def test_leading_dimensions_stay() -> None:
    model = nn.Sequential(nn.Linear(24, 40))
    use_few_rows(model)
    assert model(torch.randn(2, 5, 24)).shape == (2, 5, 40)


def test_only_plain_float32_layers_are_changed() -> None:
    class Quantised(nn.Linear):
        """As bitsandbytes' layers are: a subclass with a product of its own."""

    model = nn.Sequential(nn.Linear(4, 4, dtype=torch.bfloat16), Quantised(4, 4), nn.Linear(4, 4))
    use_few_rows(model)
    assert [type(layer) for layer in model] == [nn.Linear, Quantised, FewRowsLinear]
