"""Our step kernels in C++ give what torch's operators give, whatever the sizes, with one thread and with several."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from qwen_app.engine.local.compute.kernel_choice import problem_of
from qwen_app.kernels.cpu.step import CppKernels
from qwen_app.kernels.step_kernels import Heads, PlainKernels
from tests.examples import examples
from tests.kernels.compiler import needs_a_compiler

CPU = torch.device("cpu")
pytestmark = needs_a_compiler


@settings(max_examples=examples(30), deadline=None)
@given(
    hidden_size=st.sampled_from([1, 7, 64, 96, 896, 1000]),
    query=st.sampled_from([1, 2, 3, 7]),
    kv=st.integers(1, 3),
    dim=st.sampled_from([2, 6, 16, 64, 80, 128]),
    normed=st.booleans(),
)
def test_ours_equal_torchs(hidden_size: int, query: int, kv: int, dim: int, normed: bool) -> None:
    norms = torch.randn(query + kv, dim) if normed else None
    heads = Heads(query, kv, dim, norms)
    assert problem_of(CppKernels(), PlainKernels(), CPU, torch.float32, hidden_size, heads) == ""


@pytest.mark.parametrize("tokens", [1, 400])
def test_all_threads_compute_what_one_does(tokens: int) -> None:
    hidden, added, weight = torch.randn(tokens, 576), torch.randn(tokens, 576), torch.randn(576)
    (total, normed), (total_plain, normed_plain) = (
        kernels.add_rms_norm(hidden, added, weight, 1e-5) for kernels in (CppKernels(), PlainKernels())
    )
    assert torch.equal(total, total_plain)
    torch.testing.assert_close(normed, normed_plain)
    torch.testing.assert_close(CppKernels().gate(added), PlainKernels().gate(added))


def test_what_a_product_left_transposed_is_read_as_it_is() -> None:
    turned = torch.randn(64, 3).t()
    torch.testing.assert_close(CppKernels().gate(turned), PlainKernels().gate(turned))
    hidden, weight = torch.randn(3, 64), torch.randn(64)
    total, _ = CppKernels().add_rms_norm(hidden, turned, weight, 1e-5)
    assert torch.equal(total, hidden + turned)


def test_a_cell_that_is_nobodys_stays_as_it_was() -> None:
    keys, values = torch.ones(8, 1, 4), torch.ones(8, 1, 4)
    rotation = torch.ones(2, 1, 4), torch.zeros(2, 1, 4)
    CppKernels().rotate_and_store(torch.zeros(2, 12), Heads(1, 1, 4), rotation, torch.tensor([6, 3]), (keys, values))
    for cells in (keys, values):
        assert cells.flatten(1).sum(1).tolist() == [4, 4, 4, 0, 4, 4, 0, 4]


@settings(max_examples=examples(50), deadline=None)
@given(st.lists(st.floats(-1e4, 1e4, width=32), min_size=1, max_size=40))
def test_the_gate_is_right_for_every_number(numbers: list[float]) -> None:
    gate = torch.tensor([[*numbers, *[1.0] * len(numbers)]])
    expected = torch.tensor([[number / (1 + math.exp(min(-number, 700.0))) for number in numbers]])
    torch.testing.assert_close(CppKernels().gate(gate), expected, rtol=1e-6, atol=1e-33)


def test_what_is_no_number_stays_none() -> None:
    hidden, weight = torch.zeros(2, 8), torch.ones(8)
    hidden[1, 3] = torch.nan
    normed = CppKernels().rms_norm(hidden, weight, 1e-5)
    assert normed[0].eq(0).all()
    assert normed[1].isnan().all()
    assert CppKernels().gate(hidden)[1].isnan().tolist() == [False, False, False, True]
