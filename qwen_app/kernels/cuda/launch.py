"""How kernels of ours come to run: ours in CUDA C++ are compiled, and all are launched on the card of their tensors."""

from __future__ import annotations

import re
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from pathlib import Path
from typing import Any

import torch

HERE = Path(__file__).parent
INCLUDE = re.compile(r'^#include "([a-z_.]+)"$', re.MULTILINE)


def on_card_of(tensor: torch.Tensor) -> AbstractContextManager[object]:
    """The card of ``tensor`` is the current one within: on another, its addresses mean nothing or something else."""
    return torch.cuda.device(tensor.device) if tensor.is_cuda else nullcontext()


@cache
def multiprocessors(card: torch.device) -> int:
    """How many blocks ``card`` runs at once, if each has one to itself."""
    return torch.cuda.get_device_properties(card).multi_processor_count


@cache
def compiled(source: Path, name: str, card: torch.device, *defined: str) -> Any:  # torch has no name for the type
    """The kernel ``name`` of ``source`` for ``card``, which must be the current one, by the compiler that comes with
    torch (NVRTC). ``defined`` are macros, ``NAME`` or ``NAME VALUE``. Raises RuntimeError where it does not compile."""
    from torch.utils import cpp_extension  # which only those need who compile

    if cpp_extension.CUDA_HOME is None:  # torch wants a toolkit's headers, of which our sources include none
        cpp_extension.CUDA_HOME = str(HERE)
    macros = "".join(f"#define {macro}\n" for macro in defined)
    return torch.cuda._compile_kernel(macros + whole(source), name)


def whole(source: Path) -> str:
    """``source`` with what it includes in its place: NVRTC looks for no files of ours."""
    return INCLUDE.sub(lambda included: whole(source.with_name(included[1])), source.read_text("utf-8"))
