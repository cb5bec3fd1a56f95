"""Regions of the arena never overlap, and what is given back can be taken again."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from qwen_app.engine.local.attention.host_arena import ALIGNED_BYTES, HostArena, Region

SIZE_BYTES = 4096


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 1500)), max_size=60))
def test_regions_keep_apart(steps: list[tuple[bool, int]]) -> None:
    arena, taken = HostArena(SIZE_BYTES, pinned=False), list[Region]()
    for takes, number in steps:
        if takes:
            region = arena.take(number)
            if region is not None:
                assert region.start % ALIGNED_BYTES == 0
                assert region.end <= SIZE_BYTES
                assert all(region.end <= other.start or other.end <= region.start for other in taken)
                assert arena.memory(region).shape == (number,)
                taken.append(region)
        elif taken:
            arena.give_back(taken.pop(number % len(taken)))
    for region in taken:
        arena.give_back(region)
    assert arena.take(SIZE_BYTES) == Region(0, SIZE_BYTES)


def test_a_host_without_room_keeps_nothing(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    def refuse(*size: int, pin_memory: bool = False, **more: object) -> torch.Tensor:
        if pin_memory:
            raise RuntimeError("CUDA error: out of memory")
        return torch.zeros(*size, dtype=torch.uint8)

    monkeypatch.setattr(torch, "empty", refuse)
    arena = HostArena(SIZE_BYTES, pinned=True)
    assert arena.size_bytes == 0
    assert arena.take(1) is None
    assert "are not kept" in caplog.text


def test_pinned_memory_is_a_power_of_two(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    empty = torch.empty

    def note(size: int, pin_memory: bool = False, **more: object) -> torch.Tensor:
        asked.append(size)
        return empty(size, dtype=torch.uint8)

    monkeypatch.setattr(torch, "empty", note)
    HostArena(SIZE_BYTES + 1000, pinned=True)
    assert asked[-1] == SIZE_BYTES
