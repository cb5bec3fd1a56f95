"""Slot copies: keys and values on their way between slots and the host's memory, beside the steps of others."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


class SlotCopies:
    """Copies from and to a card, on a stream of their own. They do not disturb what runs, nor does the host wait.

    Who launches work that reads or writes a slot calls ``wait_for`` first, which makes that work come after the copy.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream = torch.cuda.Stream(device)
        self._last_copy: dict[int, torch.cuda.Event] = {}  # by slot

    @contextmanager
    def of(self, slot: int) -> Iterator[None]:
        """What is copied within comes after all that was launched before, and after all earlier copies."""
        self._stream.wait_stream(torch.cuda.current_stream(self._device))
        with torch.cuda.stream(self._stream):
            try:
                yield
            finally:  # some of it may have begun
                copied = self._last_copy[slot] = torch.cuda.Event()
                copied.record(self._stream)

    def under_way(self, slot: int) -> bool:
        """Whether ``wait_for`` would hold up what is launched after it."""
        copied = self._last_copy.get(slot)
        return copied is not None and not copied.query()

    def wait_for(self, slot: int) -> None:
        """What is launched from now on comes after the slot's copies. The host does not wait."""
        copied = self._last_copy.pop(slot, None)
        if copied is not None:
            torch.cuda.current_stream(self._device).wait_event(copied)
