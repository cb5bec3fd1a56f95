"""Copies beside the steps of a card race with nothing: what touches a slot is ordered, whichever stream it is on.

The card's streams and events are stood in for by vector clocks; copies are the cache's own, seen as torch runs them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

from qwen_app.engine.local.attention.kv_cache import KVCache, KVShape
from qwen_app.engine.local.attention.slot_copies import SlotCopies

CPU = torch.device("cpu")
SLOTS, LENGTH = 3, 4
SHAPE = KVShape(layers=1, heads=1, head_dim=1, dtype=torch.float32)


@dataclass(slots=True, eq=False)
class Stream:
    """``known`` is how much of every stream comes before what this one runs next, its own work with it."""

    name: str
    known: Counter[str] = field(default_factory=Counter)

    def wait_stream(self, other: Stream) -> None:
        self.known |= other.known

    def wait_event(self, event: Event) -> None:
        self.known |= event.known


@dataclass(slots=True)
class Event:
    known: Counter[str] = field(default_factory=Counter)
    done: bool = False

    def record(self, stream: Stream) -> None:
        self.known = Counter(stream.known)

    def query(self) -> bool:
        return self.done


@dataclass(frozen=True, slots=True)
class Access:
    """The ``count``-th thing that ``stream`` did."""

    slot: int
    writes: bool
    stream: str
    count: int


class Card(TorchDispatchMode):
    """Streams of a card whose work is noted, by the slot it touches."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.steps = self.current = Stream("steps")
        self.events: list[Event] = []
        self.accesses: list[Access] = []
        self.races: list[tuple[Access, Access]] = []
        self.cache = KVCache(SHAPE, slots=SLOTS, length=LENGTH, devices=[CPU])

    @contextmanager
    def on(self, stream: Stream) -> Iterator[None]:
        before, self.current = self.current, stream
        try:
            yield
        finally:
            self.current = before

    def event(self) -> Event:
        self.events.append(Event())
        return self.events[-1]

    def touch(self, slot: int, *, writes: bool) -> None:
        self.current.known[self.current.name] += 1
        now = Access(slot, writes, self.current.name, self.current.known[self.current.name])
        for earlier in self.accesses:
            disturbs = earlier.slot == slot and (writes or earlier.writes)
            if disturbs and earlier.count > self.current.known[earlier.stream]:
                self.races.append((earlier, now))
        self.accesses.append(now)

    def __torch_dispatch__(
        self, func: Callable[..., Any], types: Sequence[type], args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        if func in (torch.ops.aten.copy_.default, torch.ops.aten.zero_.default):
            for place, tensor in enumerate(args[:2]):
                if tensor.untyped_storage().data_ptr() in self._cells():
                    self.touch(tensor.storage_offset() // LENGTH, writes=place == 0)
        return func(*args, **(kwargs or {}))

    def _cells(self) -> set[int]:
        return {tensor.untyped_storage().data_ptr() for tensor in (*self.cache.keys, *self.cache.values)}


@contextmanager
def card() -> Iterator[Card]:
    stood_in = Card()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.cuda, "Stream", lambda device: Stream("copies"))
        patch.setattr(torch.cuda, "Event", stood_in.event)
        patch.setattr(torch.cuda, "stream", stood_in.on)
        patch.setattr(torch.cuda, "current_stream", lambda device: stood_in.current)
        patch.setattr(stood_in.cache, "_copies", SlotCopies(CPU))
        with stood_in:
            yield stood_in


def memory() -> torch.Tensor:
    return torch.empty(2 * SHAPE.token_bytes, dtype=torch.uint8)


def step(on: Card, *slots: int) -> None:
    """What the executor launches for these slots: each reads its own cells and writes one."""
    on.cache.wait_for_copies(*slots)
    for slot in slots:
        on.touch(slot, writes=True)


slot = st.integers(0, SLOTS - 1)
launches = st.one_of(
    st.tuples(st.just("read"), slot),
    st.tuples(st.just("write"), slot),
    st.tuples(st.just("clear"), slot),
    st.tuples(st.just("copy"), slot, slot),
    st.tuples(st.just("step"), slot),
    st.tuples(st.just("step"), slot, slot),
)


@given(st.lists(launches, max_size=12))
def test_whatever_is_launched_in_whatever_order_nothing_touches_a_slot_while_it_is_copied(
    order: list[tuple[Any, ...]],
) -> None:
    with card() as on:
        for what, *slots in order:
            match what:
                case "read":
                    on.cache.read(slots[0], 2, memory())
                case "write":
                    on.cache.write(slots[0], 2, memory())
                case "clear":
                    on.cache.clear(slots[0])
                case "copy":
                    on.cache.copy_prefix(slots[0], slots[1], 2)
                case _:
                    step(on, *slots)
        assert not on.races


def test_a_step_that_does_not_wait_would_be_a_race() -> None:
    with card() as on:
        on.cache.read(1, 2, memory())
        on.touch(1, writes=True)
        assert on.races


def test_steps_of_other_slots_wait_for_no_copy() -> None:
    with card() as on:
        on.cache.write(1, 2, memory())
        step(on, 0, 2)
        assert on.steps.known["copies"] == 0
        assert (on.cache.copying(0), on.cache.copying(1)) == (False, True)


def test_a_slot_counts_as_copied_once_its_last_copy_is_done() -> None:
    with card() as on:
        on.cache.read(1, 2, memory())
        on.cache.write(1, 2, memory())
        on.events[0].done = True
        assert on.cache.copying(1)
        on.events[1].done = True
        assert not on.cache.copying(1)
