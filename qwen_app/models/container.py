"""What a container may use of its machine: fewer cores than torch counts, most often, and less memory than psutil."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psutil

log = logging.getLogger(__name__)

ROOT = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")
MOUNTS = {"cpu": ("cpu", "cpu,cpuacct"), "memory": ("memory",)}  # of version 1, by controller


@dataclass(frozen=True, slots=True)
class MainMemory:
    """In bytes. ``free_bytes`` may still be used: copies of files that nobody needs to keep count as free."""

    total_bytes: int
    free_bytes: int


def keep_to_quota() -> None:
    """Let torch compute with no more threads than this container has cores: more would wait for each other, each of
    them stopped in turn."""
    import torch

    cores = cores_allowed(ROOT, MEMBERSHIP)
    if cores < torch.get_num_threads():
        torch.set_num_threads(max(1, int(cores)))
        log.info("This container may use %.3g of the machine's cores: so many threads compute.", cores)


def main_memory() -> MainMemory:
    """The machine's memory, or less where this process is stopped for taking so much."""
    machine = psutil.virtual_memory()
    limits = memory_limits(ROOT, MEMBERSHIP)
    return MainMemory(
        min([machine.total, *(limit.total_bytes for limit in limits)]),
        min([machine.available, *(limit.free_bytes for limit in limits)]),
    )


def cores_allowed(root: Path, membership: Path) -> float:
    """The cores' worth of time that control groups leave this process, by version 2 or 1; infinity where none limits.

    ``membership`` names the group of this process, as /proc/self/cgroup. Its parents limit it too. In a container the
    group that it names may not be seen: what stands at ``root`` is its own.
    """
    found = [_cores_of_version_2(group) or _cores_of_version_1(group) for group in _groups(root, membership, "cpu")]
    return min((cores for cores in found if cores), default=math.inf)


def memory_limits(root: Path, membership: Path) -> list[MainMemory]:
    """What each group that limits this process allows, and leaves; ``root`` and ``membership`` as above."""
    found = [
        _memory_of(group, limit, used, idle)
        for group in _groups(root, membership, "memory")
        for limit, used, idle in (
            ("memory.max", "memory.current", "inactive_file"),  # of version 2
            ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
        )
    ]
    return [memory for memory in found if memory]


def _groups(root: Path, membership: Path, controller: Literal["cpu", "memory"]) -> Iterator[Path]:
    """The groups whose ``controller`` may limit this process."""
    for folder, own in _hierarchies(root, membership, controller):
        for group in (folder / own, *(folder / own).parents):
            if not group.is_relative_to(folder):
                break
            yield group


def _hierarchies(root: Path, membership: Path, controller: str) -> Iterator[tuple[Path, str]]:
    """Where such groups are mounted, and this process's own below that."""
    for line in _text(membership).splitlines():
        _, controllers, own = line.split(":", 2)
        if not controllers:
            yield root, own.lstrip("/")
        elif controller in controllers.split(","):
            yield from ((root / name, own.lstrip("/")) for name in MOUNTS[controller])


def _cores_of_version_2(group: Path) -> float | None:
    quota, _, period = _text(group / "cpu.max").partition(" ")
    return int(quota) / int(period) if quota.isdigit() else None


def _cores_of_version_1(group: Path) -> float | None:
    quota, period = (_text(group / f"cpu.cfs_{name}_us").strip() for name in ("quota", "period"))
    return int(quota) / int(period) if quota.isdigit() and int(quota) > 0 else None  # -1: none


def _memory_of(group: Path, limit: str, used: str, idle: str) -> MainMemory | None:
    """``idle`` names the line of what is used that holds pages of files, given up as soon as memory is wanted."""
    most, taken = (_text(group / file).strip() for file in (limit, used))
    if not most.isdigit() or not taken.isdigit():  # "max": none
        return None
    counts = (line.partition(" ") for line in _text(group / "memory.stat").splitlines())
    given_up = next((int(count) for name, _, count in counts if name == idle), 0)
    return MainMemory(int(most), max(0, int(most) - int(taken) + given_up))


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except OSError:  # other systems, other mounts
        return ""
