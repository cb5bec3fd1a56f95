"""The fused kernels give what torch's operators give, whatever the sizes; and a wrong or missing one does not serve."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from qwen_app.engine.local.attention.batch import QuerySpan
from qwen_app.engine.local.attention.sdpa import SdpaAttention
from qwen_app.engine.local.compute import decoder
from qwen_app.engine.local.compute.model_runner import ModelRunner, ScheduledChunk
from qwen_app.kernels import choice
from qwen_app.kernels.choice import choose_kernels, first_line, problem_of
from qwen_app.kernels.fused import FusedKernels
from qwen_app.kernels.step_kernels import Heads, PlainKernels
from tests.engine.local.cuda_without_card import CPU, cache_for, small_qwen


@settings(max_examples=6)
@given(
    hidden_size=st.sampled_from([64, 96, 896, 1000]),
    query=st.sampled_from([2, 3, 7]),
    kv=st.integers(1, 2),
    dim=st.sampled_from([16, 64, 80, 128]),
    normed=st.booleans(),
    dtype=st.sampled_from([torch.float32, torch.float16, torch.bfloat16]),
)
def test_fused_equals_plain(hidden_size: int, query: int, kv: int, dim: int, normed: bool, dtype: torch.dtype) -> None:
    norms = torch.randn(query + kv, dim).to(dtype) if normed else None
    heads = Heads(query, kv, dim, norms)
    assert problem_of(FusedKernels(), PlainKernels(), CPU, dtype, hidden_size, heads) == ""


def test_a_cell_that_is_nobodys_stays_as_it_was() -> None:
    keys, values = torch.ones(8, 1, 4), torch.ones(8, 1, 4)
    rotation = torch.ones(2, 1, 4), torch.zeros(2, 1, 4)
    FusedKernels().rotate_and_store(torch.zeros(2, 12), Heads(1, 1, 4), rotation, torch.tensor([6, 3]), (keys, values))
    for cells in (keys, values):
        assert cells.flatten(1).sum(1).tolist() == [4, 4, 4, 0, 4, 4, 0, 4]


class _NoTurn(PlainKernels):
    def gate(self, gate_up: torch.Tensor) -> torch.Tensor:
        return super().gate(gate_up) * 1.05


class _Breaks(PlainKernels):
    def gate(self, gate_up: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("no C compiler\nsecond line")


@pytest.mark.parametrize(
    ("kernels", "said"),
    [(_NoTurn(), "are wrong here (gate: relative"), (_Breaks(), "do not work here (no C compiler)")],
)
def test_what_is_wrong_is_found_and_named(kernels: PlainKernels, said: str) -> None:
    assert said in problem_of(kernels, PlainKernels(), CPU, torch.float32, 64, Heads(2, 1, 16))


def test_a_compiler_that_fails_is_told_in_a_sentence() -> None:
    refused = subprocess.CalledProcessError(1, ["/usr/bin/gcc", "/tmp/x/cuda_utils.c", "-O3", *["-I/usr/include"] * 40])
    assert first_line(refused) == ("the C compiler failed; does it find Python.h, of the system's package python3-dev?")
    assert first_line(OSError()) == "OSError"
    assert len(first_line(RuntimeError("x" * 999))) == 200


def test_a_triton_that_does_not_load_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "qwen_app.kernels.fused", None)
    kernels, problem = choose_kernels(torch.device("cuda"), torch.float16, 64, Heads(2, 1, 16))
    assert isinstance(kernels, PlainKernels)
    assert problem.startswith("Fused kernels need Triton, which does not load (")


def test_on_a_cpu_torchs_own_serve_and_nothing_is_wrong() -> None:
    kernels, problem = choose_kernels(CPU, torch.float32, 64, Heads(2, 1, 16))
    assert isinstance(kernels, PlainKernels)
    assert problem == ""


def test_a_card_without_triton_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    absent: Callable[[], bool] = lambda: False  # noqa: E731
    monkeypatch.setattr(choice, "has_triton", absent)
    kernels, problem = choose_kernels(torch.device("cuda"), torch.float16, 64, Heads(2, 1, 16))
    assert isinstance(kernels, PlainKernels)
    assert problem.startswith("Fused kernels need Triton, which is not installed:")


@torch.inference_mode()
def test_a_decoder_with_fused_kernels_computes_what_transformers_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoder, "choose_kernels", lambda *sizes, fused: (FusedKernels(), ""))
    model = small_qwen()
    fused, plain = (
        ModelRunner(
            computed, SdpaAttention(cache_for(model, slots=1, length=16), model.config.num_attention_heads), CPU
        )
        for computed in (decoder.Decoder(model, 16), small_qwen())
    )
    chunks = [
        ScheduledChunk(QuerySpan(0, 0, 6), list(range(6)), wants_logits=True),
        ScheduledChunk(QuerySpan(0, 6, 1), [6], wants_logits=True),
    ]
    for chunk in chunks:
        torch.testing.assert_close(fused.forward([chunk]), plain.forward([chunk]), atol=1e-4, rtol=1e-4)
