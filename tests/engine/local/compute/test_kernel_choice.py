"""Kernels of ours serve where they are there and right; a wrong or missing one does not, and is told."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest
import torch

from qwen_app.engine.local.compute import kernel_choice
from qwen_app.engine.local.compute.kernel_choice import choose_kernels, problem_of
from qwen_app.kernels.cpu.compile import NotCompiled
from qwen_app.kernels.cpu.step import CppKernels
from qwen_app.kernels.failure import short_reason
from qwen_app.kernels.step_kernels import Heads, PlainKernels, StepKernels
from tests.engine.local.cuda_without_card import CPU
from tests.kernels.compiler import needs_a_compiler


class _WrongGate(PlainKernels):
    def gate(self, gate_up: torch.Tensor) -> torch.Tensor:
        return super().gate(gate_up) * 1.05


class _Breaks(PlainKernels):
    def gate(self, gate_up: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("no C compiler\nsecond line")


@pytest.mark.parametrize(
    ("kernels", "said"),
    [(_WrongGate(), "are wrong here (gate: relative"), (_Breaks(), "do not work here (no C compiler)")],
)
def test_what_is_wrong_is_found_and_named(kernels: PlainKernels, said: str) -> None:
    assert said in problem_of(kernels, PlainKernels(), CPU, torch.float32, 64, Heads(2, 1, 16))


def test_a_compiler_that_fails_is_told_in_a_sentence() -> None:
    refused = subprocess.CalledProcessError(1, ["/usr/bin/gcc", "/tmp/x/cuda_utils.c", "-O3", *["-I/usr/include"] * 40])
    assert short_reason(refused) == (
        "the C compiler failed; does it find Python.h, of the system's package python3-dev?"
    )
    assert short_reason(OSError()) == "OSError"
    assert len(short_reason(RuntimeError("x" * 999))) == 200


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        # As torch and NVRTC say it for a card of Turing's generation, and for one that is newer than NVRTC.
        (
            "Kernel compilation failed:\nnvrtc: warning: old architectures will go\n"
            "ptxas application ptx input, line 296; error   : Feature '.m16n8k16' requires .target sm_80 or higher\n"
            "ptxas fatal: aborted",
            "Feature '.m16n8k16' requires .target sm_80 or higher",
        ),
        ("Kernel compilation failed:\nnvrtc: error: invalid value for --gpu-architecture (-arch)\n", "(-arch)"),
        ("Kernel compilation failed:\n\nout of disk\n", "out of disk"),
    ],
)
def test_why_a_kernel_was_not_compiled_is_told(said: str, reason: str) -> None:
    told = short_reason(RuntimeError(said))
    assert told.startswith("Kernel compilation failed: ")
    assert told.endswith(reason)


def test_a_triton_that_does_not_load_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "qwen_app.kernels.cuda.fused", None)
    kernels, problem = choose_kernels(torch.device("cuda"), torch.float16, 64, Heads(2, 1, 16))
    assert isinstance(kernels, PlainKernels)
    assert problem.startswith("Fused kernels need Triton, which does not load (")


@needs_a_compiler
def test_on_a_cpu_ours_serve() -> None:
    kernels, problem = choose_kernels(CPU, torch.float32, 64, Heads(2, 1, 16))
    assert isinstance(kernels, CppKernels)
    assert problem == ""


@pytest.mark.parametrize(("dtype", "fused"), [(torch.float32, False), (torch.bfloat16, True)])
def test_on_a_cpu_torchs_own_serve_what_ours_do_not(dtype: torch.dtype, fused: bool) -> None:
    kernels, problem = choose_kernels(CPU, dtype, 64, Heads(2, 1, 16), fused=fused)
    assert isinstance(kernels, PlainKernels)
    assert problem == ""


def _refused() -> CppKernels:
    raise NotCompiled("g++ is not installed")


@pytest.mark.parametrize(
    ("made", "said"),
    [(_refused, "could be: g++ is not installed"), (_WrongGate, "are wrong here (gate: relative error")],
)
def test_on_a_cpu_a_missing_or_wrong_one_does_not_serve_and_the_log_says_why(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, made: Callable[[], StepKernels], said: str
) -> None:
    monkeypatch.setattr(kernel_choice, "CppKernels", made)
    kernels, problem = choose_kernels(CPU, torch.float32, 64, Heads(2, 1, 16))
    assert type(kernels) is PlainKernels
    assert problem == ""
    assert said in caplog.text


def test_a_card_without_triton_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    absent: Callable[[], bool] = lambda: False  # noqa: E731
    monkeypatch.setattr(kernel_choice, "has_triton", absent)
    kernels, problem = choose_kernels(torch.device("cuda"), torch.float16, 64, Heads(2, 1, 16))
    assert isinstance(kernels, PlainKernels)
    assert problem.startswith("Fused kernels need Triton, which is not installed:")
