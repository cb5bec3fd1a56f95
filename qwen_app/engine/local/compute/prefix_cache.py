"""Which tokens each slot of the KV cache holds, and which slot a new prompt takes. Knows no torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

WORTH_A_COPY_TOKENS = 16  # a shorter common prefix is as soon computed as copied
WORTH_PARKING_TOKENS = 256  # losing fewer is no reason to save the whole slot


@dataclass(slots=True)
class Slot:
    """A place for one conversation. ``ids[:n]`` are the tokens whose keys and values are valid."""

    index: int
    busy: bool = False
    used: int = 0  # the pool's clock when last given or released
    ids: np.ndarray = field(default_factory=lambda: np.empty(0, np.int32))


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a prompt goes. ``reused`` tokens need no computing; those of ``source`` are to be copied first, if set.

    ``evicted`` is all the slot held, where it loses much of it by this; else empty.
    """

    slot: int
    reused: int
    source: int | None
    evicted: np.ndarray


def common_prefix(a: np.ndarray, b: np.ndarray) -> int:
    """Length of the longest common prefix."""
    size = min(len(a), len(b))
    differing = np.flatnonzero(a[:size] != b[:size])
    return int(differing[0]) if len(differing) else size


class SlotPool:
    """Slots and what they hold. The most recently used survive longest."""

    def __init__(self, slots: int) -> None:
        self._slots = [Slot(index) for index in range(slots)]
        self._clock = 0

    @property
    def free(self) -> int:
        return sum(not slot.busy for slot in self._slots)

    def place(self, prompt_ids: Sequence[int]) -> Placement:
        """Take a free slot for the prompt; at least its last token is left to compute. Needs a free slot."""
        prompt = np.asarray(prompt_ids, np.int32)
        matches = [min(common_prefix(slot.ids, prompt), len(prompt) - 1) for slot in self._slots]
        best = max(self._slots, key=lambda slot: (matches[slot.index], not slot.busy))
        slot = self._choose(matches)
        source, reused = None, matches[slot.index]
        if matches[best.index] >= reused + WORTH_A_COPY_TOKENS:
            source, reused = best.index, matches[best.index]
        lost = len(slot.ids) - matches[slot.index]
        evicted = slot.ids if lost >= WORTH_PARKING_TOKENS else slot.ids[:0]
        self._touch(slot)
        slot.busy = True
        slot.ids = prompt[:reused]
        return Placement(slot.index, reused, source, evicted)

    def _choose(self, matches: Sequence[int]) -> Slot:
        """The free slot this prompt continues; else an empty one; else one it shares most of; else the longest unused.

        So a slot that shares its beginning (a system prompt) stays with its own conversation while there is room.
        """
        free = [slot for slot in self._slots if not slot.busy]
        best = max(free, key=lambda slot: matches[slot.index])
        if 0 < len(best.ids) <= matches[best.index] + WORTH_A_COPY_TOKENS:
            return best
        empty = [slot for slot in free if not len(slot.ids)]
        if not empty and matches[best.index] * 2 > len(best.ids):
            return best
        return min(empty or free, key=lambda slot: (slot.used, slot.index))

    def release(self, slot: int, ids: Sequence[int]) -> None:
        """The slot is free again and holds keys and values of ``ids``."""
        self._slots[slot].busy = False
        self._slots[slot].ids = np.asarray(ids, np.int32)
        self._touch(self._slots[slot])

    def hold(self, slot: int, ids: Sequence[int]) -> None:
        """Note what a busy slot holds by now, so that others can copy from it."""
        self._slots[slot].ids = np.asarray(ids, np.int32)

    def forget(self) -> None:
        """Trust nothing that idle slots hold, after a failure that may have damaged it."""
        for slot in self._slots:
            if not slot.busy:
                slot.ids = slot.ids[:0]

    def _touch(self, slot: Slot) -> None:
        self._clock += 1
        slot.used = self._clock
