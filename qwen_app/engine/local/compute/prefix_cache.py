"""Prefix cache: which tokens each slot of the KV cache holds, and which slot a new prompt takes. Knows no torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

WORTH_A_COPY_TOKENS = 16  # a shorter common prefix is as soon computed as copied
WORTH_OFFLOADING_TOKENS = 256  # losing fewer is no reason to save the whole slot


@dataclass(slots=True)
class Slot:
    """A place for one conversation. ``token_ids`` are those whose keys and values it holds, from its start on.

    They are ``owner``'s, and nobody else is told of them.
    """

    index: int
    busy: bool = False
    owner: str = ""
    last_used: int = 0  # the cache's clock when last taken or released
    token_ids: np.ndarray = field(default_factory=lambda: np.empty(0, np.int32))


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a prompt goes.

    Its first ``num_cached_tokens`` need no computing; those of slot ``source`` are to be copied first, if set.
    ``evicted`` is all the slot held, for ``evicted_owner``, where it loses much of it by this; else empty.
    """

    slot: int
    num_cached_tokens: int
    source: int | None
    evicted: np.ndarray
    evicted_owner: str


def common_prefix(a: np.ndarray, b: np.ndarray) -> int:
    """Length of the longest common prefix."""
    size = min(len(a), len(b))
    differing = np.flatnonzero(a[:size] != b[:size])
    return int(differing[0]) if len(differing) else size


class PrefixCache:
    """Slots and what they hold. The most recently used survive longest. ``slots`` is there to be read.

    A prompt reuses what its own owner left, and nothing of another's: how much was there already is told to the caller,
    and would tell what others have sent. What all share (the template's first tokens) is sooner computed than guarded.
    """

    def __init__(self, slots: int, *, reuses: bool = True) -> None:
        self._reuses = reuses
        self.slots = tuple(Slot(index) for index in range(slots))
        self._clock = 0

    def place(self, prompt_ids: Sequence[int], owner: str = "") -> Placement:
        """Take a free slot, which must be there, for ``owner``'s prompt. At least its last token is left to compute."""
        prompt = np.asarray(prompt_ids, np.int32)
        matches = [
            min(common_prefix(slot.token_ids, prompt), len(prompt) - 1) if self._reuses and slot.owner == owner else 0
            for slot in self.slots
        ]
        best = max(self.slots, key=lambda slot: (matches[slot.index], not slot.busy))
        slot = self._choose(matches)
        source, num_cached_tokens = None, matches[slot.index]
        if matches[best.index] >= num_cached_tokens + WORTH_A_COPY_TOKENS:
            source, num_cached_tokens = best.index, matches[best.index]
        lost = len(slot.token_ids) - matches[slot.index]
        evicted = slot.token_ids if lost >= WORTH_OFFLOADING_TOKENS else slot.token_ids[:0]
        placement = Placement(slot.index, num_cached_tokens, source, evicted, slot.owner)
        self._touch(slot)
        slot.busy = True
        slot.owner = owner
        slot.token_ids = prompt[:num_cached_tokens]
        return placement

    def _choose(self, matches: Sequence[int]) -> Slot:
        """The free slot this prompt continues; else an empty one; else one it shares most of; else the longest unused.

        So a slot that shares its beginning (a system prompt) stays with its own conversation while there is room.
        """
        free = [slot for slot in self.slots if not slot.busy]
        best = max(free, key=lambda slot: matches[slot.index])
        if 0 < len(best.token_ids) <= matches[best.index] + WORTH_A_COPY_TOKENS:
            return best
        empty = [slot for slot in free if not len(slot.token_ids)]
        if not empty and matches[best.index] * 2 > len(best.token_ids):
            return best
        return min(empty or free, key=lambda slot: (slot.last_used, slot.index))

    def release(self, slot: int, token_ids: Sequence[int]) -> None:
        """The slot is free again and holds keys and values of ``token_ids``."""
        self.slots[slot].busy = False
        self.mark_cached(slot, token_ids)
        self._touch(self.slots[slot])

    def mark_cached(self, slot: int, token_ids: Sequence[int]) -> None:
        """Note what a slot holds by now, so that others can copy from it."""
        self.slots[slot].token_ids = np.asarray(token_ids, np.int32)

    def invalidate(self) -> None:
        """Trust nothing that idle slots hold, after a failure that may have damaged it."""
        for slot in self.slots:
            if not slot.busy:
                slot.token_ids = slot.token_ids[:0]

    def _touch(self, slot: Slot) -> None:
        self._clock += 1
        slot.last_used = self._clock
