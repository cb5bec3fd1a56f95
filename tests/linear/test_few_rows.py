"""Linear layers for few rows give what plain ones give, whichever order the machine finds faster."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.functional import linear

from qwen_app.linear.few_rows import MEASURED_ROWS, FewRowsLinear, measured, use_few_rows

TURNED = frozenset(range(2, 9))
LARGE = (320, 400)  # in and out features


@pytest.mark.parametrize("rows", [1, 2, 8, 9, 200])
@pytest.mark.parametrize("bias", [False, True])
def test_any_number_of_rows_is_the_plain_product(rows: int, bias: bool) -> None:
    model = nn.Sequential(nn.Linear(*LARGE, bias=bias))
    use_few_rows(model, lambda: TURNED)
    layer = model[0]
    assert isinstance(layer, FewRowsLinear)
    input = torch.randn(1, rows, LARGE[0])
    torch.testing.assert_close(layer(input), linear(input, layer.weight, layer.bias), atol=1e-5, rtol=1e-4)


def test_leading_dimensions_stay() -> None:
    model = nn.Sequential(nn.Linear(*LARGE))
    use_few_rows(model, lambda: TURNED)
    assert model(torch.randn(2, 3, LARGE[0])).shape == (2, 3, LARGE[1])


def test_only_large_plain_float32_layers_are_changed() -> None:
    class Quantised(nn.Linear):
        """As bitsandbytes' layers are: a subclass with a product of its own."""

    model = nn.Sequential(
        nn.Linear(*LARGE, dtype=torch.bfloat16), Quantised(*LARGE), nn.Linear(4, 4), nn.Linear(*LARGE)
    )
    use_few_rows(model, lambda: TURNED)
    assert [type(layer) for layer in model] == [nn.Linear, Quantised, nn.Linear, FewRowsLinear]


def test_where_turning_brings_nothing_layers_stay_as_they_are() -> None:
    model = nn.Sequential(nn.Linear(*LARGE))
    use_few_rows(model, frozenset)
    assert type(model[0]) is nn.Linear


def test_what_is_measured_is_a_choice_of_rows() -> None:
    assert measured() <= set(range(MEASURED_ROWS[0], MEASURED_ROWS[-1] + 1))
    assert measured() is measured()  # once in a process
