"""Names of a model's files, and which of them are read, are refused, or are not whole yet."""

from __future__ import annotations

import re

PART = ".part"  # after the name of a file that is not whole yet
WEIGHTS = ".safetensors"
# Formats that can run code while they are read.
UNSAFE_SUFFIXES = frozenset({".bin", ".pt", ".pth", ".pkl", ".ckpt"})
READ_SUFFIXES = (WEIGHTS, ".json", ".txt", ".jinja", ".model")  # of the files that transformers reads
_PLAIN_NAME = re.compile(r"[\w][\w.+ -]*", re.ASCII)


def is_plain_name(name: str) -> bool:
    """Whether ``name`` can only be that of a file beside others: no path, no NUL, nothing hidden."""
    return bool(_PLAIN_NAME.fullmatch(name)) and len(name) < 250
