"""Whether each guard has a test that fails without it: removes those of tests/attacks/guards.py, one after another, in
a copy of the project, and runs the test that each names; before, all of these tests have to pass."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.attacks.guards import GUARDS, Guard

ROOT = Path(__file__).resolve().parent.parent
LINKED = (".venv", "models")
LIMIT_S = 150.0  # of a test; one that hangs without its guard has failed


def main(arguments: Sequence[str]) -> int:
    """Try the guards of the holes with these numbers, or all; 1 where no test notices that one is gone."""
    holes = {int(argument) for argument in arguments}
    wanted = [guard for guard in GUARDS if not holes or guard.hole in holes]
    with TemporaryDirectory() as folder:
        project = Path(folder) / "project"
        copy_to(project)
        if not passes(project, {guard.test for guard in wanted}, LIMIT_S * len(wanted)):
            sys.stdout.write("These tests fail as it is. Mend that first.\n")
            return 1
        unnoticed = [guard for guard in wanted if not is_noticed(project, guard)]
    sys.stdout.write(f"{len(wanted)} guards removed, {len(unnoticed)} without a test that noticed.\n")
    return bool(unnoticed)


def copy_to(project: Path) -> None:
    """The files that git knows, as they are now; what is large or installed is linked."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (project / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, project / name)
    for name in LINKED:
        (project / name).symlink_to((ROOT / name).resolve())


def is_noticed(project: Path, guard: Guard) -> bool:
    """Whether the guard's test fails without it."""
    file, began = project / guard.file, time.monotonic()
    whole = file.read_text(encoding="utf-8")
    file.write_text(whole.replace(guard.text, guard.instead), encoding="utf-8")
    try:
        failed = not passes(project, [guard.test], LIMIT_S)
    finally:
        file.write_text(whole, encoding="utf-8")
    seconds = f"{time.monotonic() - began:.0f} s"
    sys.stdout.write(f"{'fails' if failed else 'PASSES':6} {guard.hole:2} {guard.what}: {guard.test} ({seconds})\n")
    sys.stdout.flush()
    return failed


def passes(project: Path, tests: Iterable[str], limit_s: float) -> bool:
    command = [".venv/bin/python", "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider"]
    command += [f"tests/{test}" for test in sorted(tests)]
    try:
        return subprocess.run(command, cwd=project, capture_output=True, timeout=limit_s, check=False).returncode == 0
    except subprocess.TimeoutExpired:
        return False


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
