"""A container computes with the cores it may use, not with those its machine has."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from qwen_app.models import cpu_quota
from qwen_app.models.cpu_quota import cores_allowed, keep_to_quota

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
    monkeypatch.setattr(cpu_quota, "cores_allowed", lambda root, membership: allowed)
    keep_to_quota()
    assert torch.get_num_threads() == threads
