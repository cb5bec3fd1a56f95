"""Host arena: one block of the host's memory for keys and values that have no slot, taken once and cut into regions.

Pinned where a card copies from it. To pin memory takes a tenth of a second for half a gigabyte, and PyTorch rounds what
it pins up to powers of two and keeps what is freed: so nothing is pinned or freed once requests are answered.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

import torch

log = logging.getLogger(__name__)

ALIGNED_BYTES = 64  # for any dtype, and for whole cache lines


@dataclass(frozen=True, slots=True)
class Region:
    """``size`` bytes from ``start`` on."""

    start: int
    size: int

    @property
    def end(self) -> int:
        return self.start + self.size


class HostArena:
    """At most ``limit_bytes``; none where the host cannot give them, with a line in the log."""

    def __init__(self, limit_bytes: int, *, pinned: bool) -> None:
        self._memory = _taken(limit_bytes, pinned=pinned)
        self._regions: list[Region] = []  # by where they start

    @property
    def size_bytes(self) -> int:
        return self._memory.numel()

    def take(self, size_bytes: int) -> Region | None:
        """The first gap of so many bytes; None where there is none."""
        start = 0
        for index, region in enumerate([*self._regions, Region(self.size_bytes, 0)]):
            if region.start - start >= size_bytes:
                taken = Region(start, size_bytes)
                self._regions.insert(index, taken)
                return taken
            start = -(-region.end // ALIGNED_BYTES) * ALIGNED_BYTES
        return None

    def give_back(self, region: Region) -> None:
        self._regions.remove(region)

    def memory(self, region: Region) -> torch.Tensor:
        """uint8 ``[region.size]``."""
        return self._memory[region.start : region.end]


def _taken(limit_bytes: int, *, pinned: bool) -> torch.Tensor:
    nothing = torch.empty(0, dtype=torch.uint8)
    if limit_bytes <= 0:
        return nothing
    size_bytes = 1 << (limit_bytes.bit_length() - 1) if pinned else limit_bytes  # PyTorch pins powers of two
    try:
        return torch.empty(size_bytes, dtype=torch.uint8, pin_memory=pinned)
    except (RuntimeError, MemoryError) as refused:
        log.warning(
            "The host gives no %.1f GB: conversations without a slot are not kept (%s).", size_bytes / 1e9, refused
        )
        return nothing
