"""A container computes with the cores it may use, and plans the memory: not with those its machine has."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from qwen_app.models import container
from qwen_app.models.container import MainMemory, cores_allowed, keep_to_quota, main_memory, memory_limits
from qwen_app.models.device import find_device

UNLIMITED = float("inf")


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


@pytest.fixture
def groups(tmp_path: Path) -> Path:
    return tmp_path / "cgroup"


@pytest.fixture
def membership(tmp_path: Path) -> Path:
    return tmp_path / "self"


def test_a_container_of_version_2(groups: Path, membership: Path) -> None:
    write(membership, "0::/\n")
    write(groups / "cpu.max", "250000 100000\n")
    assert cores_allowed(groups, membership) == 2.5
    write(groups / "cpu.max", "max 100000\n")
    assert cores_allowed(groups, membership) == UNLIMITED


def test_the_least_of_a_group_and_its_parents_counts(groups: Path, membership: Path) -> None:
    write(membership, "0::/pod/container\n")
    write(groups / "pod/container/cpu.max", "800000 100000\n")
    write(groups / "pod/cpu.max", "400000 100000\n")
    assert cores_allowed(groups, membership) == 4
    write(groups.parent / "cpu.max", "100000 100000\n")  # above the mount: nobody's
    assert cores_allowed(groups, membership) == 4


@pytest.mark.parametrize("mount", ["cpu", "cpu,cpuacct"])
def test_a_container_of_version_1(groups: Path, membership: Path, mount: str) -> None:
    write(membership, "3:cpuset:/\n2:cpu,cpuacct:/docker/abc\n1:memory:/docker/abc\n")
    write(groups / mount / "cpu.cfs_quota_us", "-1\n")
    write(groups / mount / "cpu.cfs_period_us", "100000\n")
    assert cores_allowed(groups, membership) == UNLIMITED
    write(groups / mount / "cpu.cfs_quota_us", "150000\n")  # seen from within, where the group's own name is not
    assert cores_allowed(groups, membership) == 1.5


def test_what_has_no_control_groups_limits_nothing(groups: Path, membership: Path) -> None:
    assert cores_allowed(groups, membership) == UNLIMITED
    write(membership, "0::/gone\n")
    assert cores_allowed(groups, membership) == UNLIMITED


@pytest.fixture
def three_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("three_threads")
@pytest.mark.parametrize(("allowed", "threads"), [(UNLIMITED, 3), (64.0, 3), (2.5, 2), (0.5, 1)])
def test_torch_takes_as_many_threads_and_never_more(
    monkeypatch: pytest.MonkeyPatch, allowed: float, threads: int
) -> None:
    monkeypatch.setattr(container, "cores_allowed", lambda root, membership: allowed)
    keep_to_quota()
    assert torch.get_num_threads() == threads


GB = 10**9


def test_memory_of_a_container_of_version_2(groups: Path, membership: Path) -> None:
    write(membership, "0::/\n")
    write(groups / "memory.max", f"{8 * GB}\n")
    write(groups / "memory.current", f"{5 * GB}\n")
    assert memory_limits(groups, membership) == [MainMemory(8 * GB, 3 * GB)]
    write(groups / "memory.stat", f"anon {GB}\nfile {4 * GB}\nactive_file {GB}\ninactive_file {2 * GB}\n")
    assert memory_limits(groups, membership) == [MainMemory(8 * GB, 5 * GB)]  # files that were read are given up
    write(groups / "memory.max", "max\n")
    assert memory_limits(groups, membership) == []


def test_memory_of_a_container_of_version_1(groups: Path, membership: Path) -> None:
    write(membership, "2:cpu,cpuacct:/docker/abc\n1:memory:/docker/abc\n")
    write(groups / "memory/memory.limit_in_bytes", f"{4 * GB}\n")  # seen from within
    write(groups / "memory/memory.usage_in_bytes", f"{3 * GB}\n")
    write(groups / "memory/memory.stat", f"inactive_file 5\ntotal_inactive_file {GB}\n")
    assert memory_limits(groups, membership) == [MainMemory(4 * GB, 2 * GB)]


def test_a_group_over_its_limit_has_nothing_free(groups: Path, membership: Path) -> None:
    write(membership, "0::/\n")
    write(groups / "memory.max", f"{GB}\n")
    write(groups / "memory.current", f"{2 * GB}\n")
    assert memory_limits(groups, membership) == [MainMemory(GB, 0)]


@pytest.fixture
def machine(groups: Path, membership: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """64 GB, 50 of them available. The folder is that of its control groups."""
    monkeypatch.setattr(container, "ROOT", groups)
    monkeypatch.setattr(container, "MEMBERSHIP", membership)
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(total=64 * GB, available=50 * GB))
    return groups


def test_the_least_of_machine_group_and_parents_is_there(machine: Path, membership: Path) -> None:
    assert main_memory() == MainMemory(64 * GB, 50 * GB)
    write(membership, "0::/pod/container\n")
    for group, most, used in (("pod/container", 32, 1), ("pod", 40, 30)):
        write(machine / group / "memory.max", f"{most * GB}\n")
        write(machine / group / "memory.current", f"{used * GB}\n")
    assert main_memory() == MainMemory(32 * GB, 10 * GB)


def test_a_cpu_is_planned_with_what_the_container_may_use(
    machine: Path, membership: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(membership, "0::/\n")
    write(machine / "memory.max", f"{8 * GB}\n")
    write(machine / "memory.current", f"{GB}\n")
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    found = find_device()
    assert (found.total_bytes, found.free_bytes) == (8 * GB, 7 * GB)
