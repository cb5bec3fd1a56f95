"""Why a kernel does not work here."""

from __future__ import annotations

import subprocess

LONGEST_REASON = 200  # characters


def first_line(error: BaseException) -> str:
    """What an error says, short enough for a sentence."""
    if isinstance(error, subprocess.CalledProcessError):  # Triton compiles a file of C at the first launch
        return "the C compiler failed; does it find Python.h, of the system's package python3-dev?"
    lines = str(error).splitlines()
    return (lines[0] if lines and lines[0] else type(error).__name__)[:LONGEST_REASON]
