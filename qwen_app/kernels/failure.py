"""Why a kernel does not work here."""

from __future__ import annotations

import subprocess

LONGEST_REASON = 200  # characters


def first_line(error: BaseException) -> str:
    """What an error says, short enough for a sentence."""
    if isinstance(error, subprocess.CalledProcessError):  # Triton compiles a file of C at the first launch
        return "the C compiler failed; does it find Python.h, of the system's package python3-dev?"
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if len(lines) > 1 and lines[0].endswith(":"):  # torch's "Kernel compilation failed:", before what NVRTC says
        lines[0] += " " + next((line for line in lines[1:] if "error" in line), lines[1])
    return (lines[0] if lines else type(error).__name__)[:LONGEST_REASON]
