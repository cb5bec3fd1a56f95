"""Compile: our kernels in C++ for the processor they run on, by the machine's compiler, when they are first wanted.

What is made is kept beside what Python makes of its sources: whoever may write there may change these too.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import subprocess
import tempfile
from functools import cache
from pathlib import Path

COMPILER = "g++"
FLAGS = (
    *("-std=c++17", "-O3", "-march=native", "-fPIC", "-fopenmp", "-Wno-psabi"),
    "-pipe",  # what is made on the way needs no room in /tmp, which is small or full on many a pod
    # Sums may be taken in any order, or none would be vectorised. Infinities and NaN stay what they are.
    *("-fassociative-math", "-freciprocal-math", "-fno-signed-zeros", "-fno-math-errno", "-fno-trapping-math"),
)
SOURCE = Path(__file__).with_name("kernels.cpp")
KEPT = SOURCE.parent / "__pycache__"
TIMEOUT_S = 60.0


class NotCompiled(Exception):
    """No compiler is here, or it does not take our source; the message says what it says."""


@cache
def library() -> ctypes.CDLL:
    """The functions of ``SOURCE``. Raises NotCompiled, or OSError where its file cannot be written or loaded."""
    return compiled(SOURCE)


def products_serve() -> bool:
    """Whether this processor has the instructions that our products take. Raises as ``library`` does."""
    function = library().qwen_products_serve
    function.restype = ctypes.c_bool
    return bool(function())


def compiled(source: Path) -> ctypes.CDLL:
    """``library`` of another source, compiled with the headers beside it."""
    name = f"{source.stem}.{_fingerprint(source)}.so"
    try:
        return ctypes.CDLL(str(_made(source, KEPT / name)))
    except OSError:  # an installation that may only be read, or from where nothing may be run
        with tempfile.TemporaryDirectory() as folder:
            return ctypes.CDLL(str(_made(source, Path(folder) / name)))


def _fingerprint(source: Path) -> str:
    """Of all that decides what is made of ``source``."""
    texts = [path.read_text("utf-8") for path in (source, *sorted(source.parent.glob("*.hpp")))]
    return hashlib.sha256("\n".join((*texts, *FLAGS, _machine())).encode()).hexdigest()[:16]


@cache
def _machine() -> str:
    """The compiler, and what it knows of this processor."""
    return _output_of("--version") + _output_of("-march=native", "-Q", "--help=target", "-fsyntax-only")


def _made(source: Path, target: Path) -> Path:
    """``target``, made unless it is there; whole at every moment, for other processes may start too."""
    if target.exists():
        return target
    target.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        half, whole = Path(folder) / "half.o", Path(folder) / "whole.so"
        _output_of(*FLAGS, "-c", str(source), "-o", str(half))
        # Not linked with a library of threads: the names are found in the one that torch has loaded, so its threads do
        # this work too. A second set of threads would fight with them for the same cores.
        _output_of("-shared", str(half), "-o", str(whole))
        with whole.open("rb") as made:
            os.fsync(made.fileno())  # a machine that loses its power must not keep a name without its contents
        os.replace(whole, target)
    return target


def _output_of(*arguments: str) -> str:
    try:
        done = subprocess.run(
            (COMPILER, *arguments), capture_output=True, text=True, errors="replace", timeout=TIMEOUT_S, check=True
        )
    except FileNotFoundError as missing:
        raise NotCompiled(f"{COMPILER} is not installed") from missing
    except subprocess.TimeoutExpired as slow:
        raise NotCompiled(f"{COMPILER} took longer than {TIMEOUT_S:.0f} s") from slow
    except subprocess.CalledProcessError as failed:
        raise NotCompiled(f"{COMPILER} failed: {failed.stderr.strip()}") from failed
    return done.stdout
