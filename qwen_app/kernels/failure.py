"""Why a kernel does not work here."""

from __future__ import annotations

import subprocess

from qwen_app.errors import first_line

LONGEST_REASON = 200  # characters


def short_reason(error: BaseException) -> str:
    """What an error says, short enough for a sentence."""
    if isinstance(error, subprocess.CalledProcessError):  # Triton compiles a file of C at the first launch
        return "the C compiler failed; does it find Python.h, of the system's package python3-dev?"
    return first_line(error)[:LONGEST_REASON]
