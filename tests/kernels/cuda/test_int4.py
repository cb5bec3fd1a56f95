"""Products of 4-bit weights equal those of the weights written out: on a CPU by the source of the kernels."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import torch

from qwen_app.kernels.cuda import int4
from qwen_app.linear.cuda_linear import MOST_FEW_ROWS, CudaInt4Linear, use_cuda
from qwen_app.linear.int4_linear import Int4Linear
from qwen_app.linear.int4_weight import LARGEST_CODE, Int4Weight
from tests.kernels.compiler import needs_a_compiler
from tests.kernels.cuda.cuda_on_cpu import KernelOnCpu
from tests.linear.tiles import packed_as_on_a_card

TOLERANCE = 1e-2  # of a result in bfloat16


def random_weight(outputs: int, columns: int, group: int) -> Int4Weight:
    torch.manual_seed(outputs + columns)
    codes = torch.randint(0, LARGEST_CODE + 1, (outputs, columns), dtype=torch.uint8)
    scales = torch.rand(outputs, columns // group).bfloat16().float()
    return Int4Weight(codes, scales, torch.randn(outputs, columns // group).bfloat16().float() - 8 * scales)


def tiles_of(weight: Int4Weight) -> tuple[torch.Tensor, torch.Tensor]:
    """As the kernels read them."""
    zeros = weight.minimums + 8 * weight.scales
    scales_and_zeros = torch.stack((weight.scales.t(), zeros.t()), -1).bfloat16().contiguous()
    return packed_as_on_a_card(weight.codes), int4.scale_tiles_of(scales_and_zeros, weight.group)


@pytest.fixture(scope="module")
def on_cpu(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    folder = tmp_path_factory.mktemp("kernels")

    @cache
    def compiled(source: Path, name: str, card: torch.device, *defined: str) -> KernelOnCpu:
        return KernelOnCpu(folder, source, name, defined)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(int4, "compiled", compiled)
        patch.setattr(int4, "_warps", lambda card, blocks, pieces: 2)
        yield


@needs_a_compiler
@pytest.mark.slow  # a thread for every lane
@pytest.mark.usefixtures("on_cpu")
@pytest.mark.parametrize("rows", [1, 7, 9, 19])
@pytest.mark.parametrize(
    ("outputs", "columns", "group"), [(16, 128, 32), (32, 640, 64), (16, 384, 128), (16, 512, 256)]
)
def test_its_source_multiplies_right(rows: int, outputs: int, columns: int, group: int) -> None:
    weight = random_weight(outputs, columns, group)
    input = torch.randn(rows, columns).bfloat16()
    bias = 100 * torch.randn(outputs).bfloat16()
    product = input.float() @ weight.dequantised().t()
    for added, want in ((None, product), (bias, product + bias.float())):
        got = int4.int4_product(input, *tiles_of(weight), added).float()
        assert (got - want).norm() < TOLERANCE * want.norm()


@needs_a_compiler
@pytest.mark.slow
@pytest.mark.usefixtures("on_cpu")
@pytest.mark.parametrize(
    ("outputs", "columns", "group"), [(16, 128, 32), (24, 640, 64), (16, 384, 128), (16, 512, 256)]
)
def test_its_source_writes_the_weight_out(outputs: int, columns: int, group: int) -> None:
    weight = random_weight(outputs, columns, group)
    got = int4.int4_unpacked(*tiles_of(weight))
    assert torch.equal(got, weight.dequantised().bfloat16())


@pytest.mark.gpu
@pytest.mark.parametrize("rows", [1, 2, 7, 8, 9, 16, 17, 33, MOST_FEW_ROWS, 100])
@pytest.mark.parametrize(
    ("outputs", "columns", "group"), [(64, 128, 32), (192, 3584, 32), (4608, 896, 64), (70, 640, 128)]
)
def test_on_a_card_it_multiplies_right(rows: int, outputs: int, columns: int, group: int) -> None:
    card, weight = torch.device("cuda", 0), random_weight(outputs, columns, group)
    input = torch.randn(rows, columns, device=card).bfloat16()
    product = input.float() @ weight.dequantised().to(card).t()
    bias = 100 * torch.randn(outputs, device=card).bfloat16()
    for added, want in ((None, product), (bias, product + bias)):
        layer = Int4Linear.of(weight, added, card)
        use_cuda(layer)
        assert type(layer) is CudaInt4Linear
        assert (layer(input).float() - want).norm() < TOLERANCE * want.norm()


@pytest.mark.gpu
def test_a_row_is_the_same_in_any_company() -> None:
    card = torch.device("cuda", 0)
    layer = Int4Linear.of(random_weight(192, 3584, 32), None, card)
    use_cuda(layer)
    input = torch.randn(8, 3584, device=card).bfloat16()
    assert torch.equal(layer(input)[3:4], layer(input[3:4]))
