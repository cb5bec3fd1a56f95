"""How many cores a container may use: fewer, most often, than its machine has and torch counts."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from pathlib import Path

log = logging.getLogger(__name__)

ROOT = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")


def keep_to_quota() -> None:
    """Let torch compute with no more threads than this container has cores: more would wait for each other, each of
    them stopped in turn."""
    import torch

    cores = cores_allowed(ROOT, MEMBERSHIP)
    if cores < torch.get_num_threads():
        torch.set_num_threads(max(1, int(cores)))
        log.info("This container may use %.3g of the machine's cores: so many threads compute.", cores)


def cores_allowed(root: Path, membership: Path) -> float:
    """The cores' worth of time that control groups leave this process, by version 2 or 1; infinity where none limits.

    ``membership`` names the group of this process, as /proc/self/cgroup. Its parents limit it too. In a container the
    group that it names may not be seen: what stands at ``root`` is its own.
    """
    return min(_limits(root, membership), default=math.inf)


def _limits(root: Path, membership: Path) -> Iterator[float]:
    for folder, own in _hierarchies(root, membership):
        for group in (folder / own, *(folder / own).parents):
            if not group.is_relative_to(folder):
                break
            found = _of_version_2(group / "cpu.max") or _of_version_1(group)
            if found:
                yield found


def _hierarchies(root: Path, membership: Path) -> Iterator[tuple[Path, str]]:
    """Where groups that limit the CPU are mounted, and this process's own below that."""
    for line in _text(membership).splitlines():
        _, controllers, own = line.split(":", 2)
        if not controllers:
            yield root, own.lstrip("/")
        elif "cpu" in controllers.split(","):
            yield from ((root / name, own.lstrip("/")) for name in ("cpu", "cpu,cpuacct"))


def _of_version_2(file: Path) -> float | None:
    quota, _, period = _text(file).partition(" ")
    return int(quota) / int(period) if quota.isdigit() else None


def _of_version_1(group: Path) -> float | None:
    quota, period = (_text(group / f"cpu.cfs_{name}_us").strip() for name in ("quota", "period"))
    return int(quota) / int(period) if quota.isdigit() and int(quota) > 0 else None  # -1: none


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except OSError:  # other systems, other mounts
        return ""
