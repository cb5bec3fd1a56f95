"""Whether this machine can compile C++."""

from __future__ import annotations

import shutil

import pytest

needs_a_compiler = pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++")
