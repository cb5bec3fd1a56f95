"""What only an idle machine can tell: each part asks for what it promises, and its failure is the script's."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
STAND_IN = """#!/bin/bash
[ "$1" = -c ] && exec {python} "$@"
echo "asked: limit=$LOOP_LIMIT_S $*"
exit $WITH
"""


def run(folder: Path, *parts: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    """The script with a Python that says what it was asked for and ends with ``code``."""
    stand_in = folder / "python"
    stand_in.write_text(STAND_IN.format(python=sys.executable), encoding="utf-8")
    stand_in.chmod(0o700)
    environment = {**os.environ, "PYTHON": str(stand_in), "WITH": str(code)}
    command = [str(ROOT / "scripts/idle-machine"), *parts]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_all_three_run_one_after_another(tmp_path: Path) -> None:
    done = run(tmp_path)
    asked = [line for line in done.stdout.splitlines() if line.startswith("asked")]
    assert done.returncode == 0, done.stderr
    assert len(asked) == 5
    assert asked[0].count(" tests/") > 40  # of the 52 faults, of which some share a test
    assert done.stdout.count("of 3: ") == 3
    assert "limit=0.1 -m pytest" in asked[3]
    assert asked[4].endswith("-m bench.http --soak")


@pytest.mark.parametrize("part", ["faults", "loop", "soak"])
def test_what_fails_is_told_by_the_status(tmp_path: Path, part: str) -> None:
    assert run(tmp_path, part, code=1).returncode not in (0, 2)


def test_another_word_is_answered_with_the_usage(tmp_path: Path) -> None:
    done = run(tmp_path, "everything")
    assert done.returncode == 2
    assert "scripts/idle-machine soak" in done.stdout
