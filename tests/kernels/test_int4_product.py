"""Products of few rows and 4-bit weights on a card equal those of the weights written out."""

from __future__ import annotations

import pytest
import torch

from qwen_app.linear.int4_linear import MOST_ROWS_OF_OURS, Int4Linear
from qwen_app.linear.int4_weight import LARGEST_CODE, Int4Weight

pytestmark = pytest.mark.gpu


def random_weight(outputs: int, columns: int, group: int) -> Int4Weight:
    torch.manual_seed(outputs + columns)
    codes = torch.randint(0, LARGEST_CODE + 1, (outputs, columns), dtype=torch.uint8)
    scales = torch.rand(outputs, columns // group).bfloat16().float()
    return Int4Weight(codes, scales, torch.randn(outputs, columns // group).bfloat16().float() - 8 * scales)


@pytest.mark.parametrize("rows", [1, 2, 7, 8, 9, 16, 17, 33, MOST_ROWS_OF_OURS])
@pytest.mark.parametrize(
    ("outputs", "columns", "group"), [(64, 128, 32), (192, 3584, 32), (4608, 896, 64), (70, 640, 128)]
)
def test_it_equals_the_product_of_the_weights_written_out(rows: int, outputs: int, columns: int, group: int) -> None:
    card, weight = torch.device("cuda", 0), random_weight(outputs, columns, group)
    layer = Int4Linear.of(weight, None, card)
    layer.use_ours()
    assert layer.ours
    input = torch.randn(rows, columns, device=card).bfloat16()
    want = input.float() @ weight.dequantised().to(card).t()
    assert (layer(input).float() - want).norm() < 1e-2 * want.norm()


def test_a_row_is_the_same_in_any_company() -> None:
    card = torch.device("cuda", 0)
    layer = Int4Linear.of(random_weight(192, 3584, 32), None, card)
    layer.use_ours()
    input = torch.randn(8, 3584, device=card).bfloat16()
    assert torch.equal(layer(input)[3:4], layer(input[3:4]))
