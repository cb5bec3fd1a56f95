"""Our kernels for packed weights serve where they are there, work and are right; else the log says why not."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator

import pytest
import torch

from qwen_app.kernels.cpu.weights import multiplied
from qwen_app.kernels.cuda import int4, int8
from qwen_app.linear import own_kernels
from qwen_app.linear.int4_weight import GROUP_SIZES
from qwen_app.linear.own_kernels import (
    multiplies_4_bits,
    multiplies_4_bits_on_a_cpu,
    multiplies_8_bits,
    multiplies_8_bits_on_a_cpu,
)

CPU = torch.device("cpu")
Product = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]


def right(rows: torch.Tensor, codes: torch.Tensor, scales: torch.Tensor) -> torch.Tensor:
    return rows.float() @ (codes.float() * scales.float()[..., None]).transpose(0, 1).flatten(1).t()


def wrong(rows: torch.Tensor, codes: torch.Tensor, scales: torch.Tensor) -> torch.Tensor:
    return right(rows, codes, scales) * 1.01


def broken(rows: torch.Tensor, codes: torch.Tensor, scales: torch.Tensor) -> torch.Tensor:
    raise RuntimeError("no C compiler\nand more")


@pytest.fixture(autouse=True)
def asked_anew() -> Iterator[None]:
    multiplies_8_bits.cache_clear()
    yield
    multiplies_8_bits.cache_clear()


def test_a_right_kernel_serves(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(int8, "int8_product", right)
    assert multiplies_8_bits(CPU)
    assert not caplog.records


@pytest.mark.parametrize(("product", "said"), [(wrong, "wrong here"), (broken, "no C compiler")])
def test_a_kernel_that_is_not_does_not(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, product: Product, said: str
) -> None:
    monkeypatch.setattr(int8, "int8_product", product)
    assert not multiplies_8_bits(CPU)
    assert [record.getMessage().count(said) for record in caplog.records] == [1]


def unpacked(codes: torch.Tensor, scale_tiles: torch.Tensor) -> torch.Tensor:
    """What ``int4_unpacked`` gives, of codes that are not packed."""
    eights, sets, _, scales = scale_tiles.shape
    both = scale_tiles.transpose(1, 2).reshape(eights * 8, sets * scales).view(torch.bfloat16).unflatten(1, (-1, 2))
    group = codes.shape[1] // both.shape[1]
    steps, zeros = (part.repeat_interleave(group, 1).float() for part in both.unbind(-1))
    return torch.addcmul(zeros, codes.float() - 8, steps).bfloat16()


def of_the_next_group(codes: torch.Tensor, scale_tiles: torch.Tensor) -> torch.Tensor:
    return unpacked(codes, scale_tiles.roll(1, 1))


def multiplied_by(
    rows: torch.Tensor, codes: torch.Tensor, scale_tiles: torch.Tensor, bias: torch.Tensor | None = None
) -> torch.Tensor:
    product = rows.float() @ unpacked(codes, scale_tiles).float().t()
    return product if bias is None else product + bias


def without_bias(
    rows: torch.Tensor, codes: torch.Tensor, scale_tiles: torch.Tensor, bias: torch.Tensor | None = None
) -> torch.Tensor:
    return multiplied_by(rows, codes, scale_tiles)


@pytest.mark.parametrize(
    ("product", "unpack", "serve"),
    [
        (multiplied_by, unpacked, True),
        (without_bias, unpacked, False),
        (multiplied_by, of_the_next_group, False),
    ],
)
@pytest.mark.parametrize("group", GROUP_SIZES)
def test_4_bit_kernels_serve_if_all_are_right(
    monkeypatch: pytest.MonkeyPatch,
    product: Callable[..., torch.Tensor],
    unpack: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    serve: bool,
    group: int,
) -> None:
    multiplies_4_bits.cache_clear()
    monkeypatch.setattr(own_kernels, "tiles_of_cuda", lambda codes: codes)
    monkeypatch.setattr(int4, "int4_product", product)
    monkeypatch.setattr(int4, "int4_unpacked", unpack)
    assert multiplies_4_bits(CPU, group) == serve
    multiplies_4_bits.cache_clear()


def test_without_triton_none_serves(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.delitem(sys.modules, "qwen_app.kernels.cuda.int8")
    monkeypatch.setitem(sys.modules, "triton", None)
    assert not multiplies_8_bits(CPU)
    assert "8-bit products are slower than they could be: import of triton" in caplog.text


def test_without_a_card_torchs_own_product_serves(caplog: pytest.LogCaptureFixture) -> None:
    multiplies_4_bits.cache_clear()
    assert not multiplies_4_bits(CPU, 32)
    assert "4-bit products are slower than they could be" in caplog.text


@pytest.fixture
def asked_anew_of_a_cpu() -> Iterator[None]:
    for asked in (multiplies_4_bits_on_a_cpu, multiplies_8_bits_on_a_cpu):
        asked.cache_clear()
    yield
    for asked in (multiplies_4_bits_on_a_cpu, multiplies_8_bits_on_a_cpu):
        asked.cache_clear()


ON_A_CPU = {"4": multiplies_4_bits_on_a_cpu, "8": multiplies_8_bits_on_a_cpu}


@pytest.mark.usefixtures("asked_anew_of_a_cpu")
@pytest.mark.parametrize(("factor", "serves"), [(1.0, True), (1.01, False)])
@pytest.mark.parametrize("bits", ON_A_CPU)
def test_on_a_cpu_our_product_serves_where_it_is_right(
    monkeypatch: pytest.MonkeyPatch, bits: str, factor: float, serves: bool
) -> None:
    multiplies = ON_A_CPU[bits]
    if not multiplies():
        pytest.skip("needs g++ and the processor's instructions")
    multiplies.cache_clear()
    monkeypatch.setattr(own_kernels, "multiplied", lambda rows, weights: factor * multiplied(rows, weights))
    assert multiplies() == serves


@pytest.mark.usefixtures("asked_anew_of_a_cpu")
@pytest.mark.parametrize("bits", ON_A_CPU)
def test_a_processor_without_the_instructions_is_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, bits: str
) -> None:
    multiplies = ON_A_CPU[bits]
    monkeypatch.setattr(own_kernels, "products_serve", lambda: False)
    assert not multiplies()
    assert f"{bits}-bit products are slower than they could be: this processor has no AVX2 and FMA" in caplog.text
