"""Makes constraints.txt with uv: versions, hashes, and what asks for each. ``scripts/lock`` says when."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "constraints.txt"
ALONE = "requirements-dev-alone.txt"
HEAD = (
    "# Made by scripts/lock for Python 3.11 to 3.13 on Linux x86-64. "
    "Do not edit: change pyproject.toml, then run it again."
)
MACHINE = (
    " and platform_machine == 'x86_64' and platform_python_implementation == 'CPython' and sys_platform == 'linux'"
)
PYTHONS = re.compile(r" ; python_full_version < '3\.14'(?= \\$)", re.MULTILINE)
UNIVERSAL = ("--universal", "--python-version", "3.11")
HASHED = ("--no-header", "--generate-hashes", "--quiet")
HASH = re.compile(r"sha256:[0-9a-f]{64}")


class LockFailed(Exception):
    """uv's own words on why it could not."""


def main(arguments: list[str]) -> None:
    pinned("pyproject.toml", "--extra", "dev", *UNIVERSAL, "--output-file", LOCK.name, *arguments)
    alone = pinned(ALONE, "--no-deps", *UNIVERSAL)
    lock = with_cpu_wheels(said_once(LOCK.read_text(encoding="utf-8")))
    LOCK.write_text(f"{HEAD}\n{lock}{said_once(alone)}", encoding="utf-8")


def pinned(*arguments: str, asked: str = "") -> str:
    """What uv prints for its ``arguments``, and of ``asked`` where they name "-". Raises LockFailed."""
    uv = [str(Path(sys.executable).with_name("uv")), "pip", "compile", *arguments, *HASHED]
    done = subprocess.run(uv, cwd=ROOT, input=asked, capture_output=True, text=True, check=False)
    if done.returncode:
        raise LockFailed(done.stderr)
    return done.stdout


def said_once(lock: str) -> str:
    """``lock`` without what every line says of the machine, which pyproject.toml asks for."""
    return PYTHONS.sub("", lock.replace(MACHINE, ""))


def entry(package: str, lock: str) -> str:
    """The lines of ``package``: its version and its hashes. Empty where it is not there."""
    found = re.search(rf"(?m)^{re.escape(package)}==.*\n(?:    --hash=.*\n)*", lock)
    return found[0] if found else ""


def with_cpu_wheels(lock: str) -> str:
    """``lock`` with the hashes of PyTorch's CPU wheels too, which lie on an index of their own.

    Where that is out of reach, uv has kept those that the file had for the same version; of another version there are
    none then, and machines without a card install the wheel with CUDA.
    """
    torch = entry("torch", lock)
    version = torch.split(" ")[0]
    try:
        of_cpu = pinned("-", "--no-deps", *UNIVERSAL, "--torch-backend", "cpu", asked=version)
    except LockFailed:
        return lock
    hashes = sorted({*HASH.findall(torch), *HASH.findall(of_cpu)})
    return lock.replace(torch, version + "".join(f" \\\n    --hash={one}" for one in hashes) + "\n")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except LockFailed as failed:
        sys.exit(str(failed))
