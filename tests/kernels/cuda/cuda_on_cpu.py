"""Our CUDA kernels compiled for a CPU: their own source, with single instructions of a card stood in for."""

from __future__ import annotations

import ctypes
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

import torch

from qwen_app.kernels.cuda.launch import whole

STAND_INS = Path(__file__).with_name("cuda_on_cpu.hpp")
INSTRUCTION = re.compile(r"__device__ __forceinline__ [^{}]*\{[^{}]*\basm\b.*?\n\}\n", re.DOTALL)

Argument = torch.Tensor | int | float


class KernelOnCpu:
    """``kernel`` of ``source``, compiled into ``folder`` with what is ``defined``; called as one of torch's is."""

    def __init__(self, folder: Path, source: Path, kernel: str, defined: Sequence[str]) -> None:
        text, count = INSTRUCTION.subn("", whole(source))
        assert count, "single instructions are functions of their own"
        text = text.replace("extern __shared__ float shared[];", "").replace("__shared__ ", "static ")
        signature = re.search(rf"\b{kernel}\((.*?)\) \{{", text, re.DOTALL)
        assert signature
        parameters = [part.split()[-1].lstrip("*") for part in signature[1].split(",")]
        entry = (
            f'extern "C" void on_cpu(unsigned x, unsigned y, unsigned z, unsigned threads, {signature[1]}) '
            f"{{ launch({{x, y, z}}, threads, [=] {{ {kernel}({', '.join(parameters)}); }}); }}\n"
        )
        made, library = folder / f"{kernel}.cpp", folder / f"{'-'.join((kernel, *defined))}.so"
        head = "".join(f"#define {macro}\n" for macro in defined)
        made.write_text(f'{head}#include "{STAND_INS}"\n{text}{entry}', "utf-8")
        command = ["g++", "-std=c++20", "-O1", "-w", "-pthread", "-shared", "-fPIC", str(made), "-o", str(library)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        self._run = ctypes.CDLL(str(library)).on_cpu

    def __call__(
        self, grid: tuple[int, int, int], block: tuple[int, int, int], args: Sequence[Argument], shared_mem: int = 0
    ) -> None:
        self._run(*(ctypes.c_uint(size) for size in (*grid, block[0])), *map(_as_c, args))


def _as_c(argument: Argument) -> ctypes.c_void_p | ctypes.c_int | ctypes.c_double:
    if isinstance(argument, torch.Tensor):
        return ctypes.c_void_p(argument.data_ptr())
    return ctypes.c_int(argument) if isinstance(argument, int) else ctypes.c_double(argument)
