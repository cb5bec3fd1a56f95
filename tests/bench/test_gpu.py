"""The GPU benchmark runs from end to end: on a pod it must not break after the model was made."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
def test_a_tiny_run_gives_every_row(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "bench.gpu", "--tiny", "--precision", "fp16", "--users", "1,2"]
    command += ["--context", "64", "--decode-tokens", "8", "--out", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    (written,) = tmp_path.glob("*.json")
    rows = json.loads(written.read_text())["rows"]
    for users in (1, 2):
        decode = [row for row in rows if row["what"].startswith(f"fp16, {users} users x 64, decode")]
        assert [row["contender"] for row in decode] == ["this engine", "transformers generate"]
        assert all(row["value"] > 0 for row in decode)
