"""Watchdog: notices a worker that hangs, from a thread of its own, for the one that hangs can tell nobody."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

log = logging.getLogger(__name__)

TICKS = 10  # looks within the limit
LONGEST_TICK_S = 1.0


class Watchdog:
    """Watches ``turns``, a number that a worker raises all the time while it is well.

    ``limit_s`` without a change mean stalled: ``on_stall`` is called then and at every further look, until the worker
    moves again. As long again, and ``on_fatal`` is called with a reason, once: only a new process can help. Time counts
    in looks taken, so a process that was held up as a whole (stopped, suspended) is not taken for a hung worker.
    """

    def __init__(
        self,
        turns: Callable[[], int],
        *,
        limit_s: float,
        on_stall: Callable[[], None],
        on_fatal: Callable[[str], None],
    ) -> None:
        self._turns = turns
        self._limit_s = limit_s
        self._tick_s = min(LONGEST_TICK_S, limit_s / TICKS)
        self._on_stall = on_stall
        self._on_fatal = on_fatal
        self._quiet_s = 0.0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Look no more: the worker ends, or has ended."""
        self._ended.set()

    @property
    def stalled(self) -> bool:
        return self._quiet_s >= self._limit_s

    def _watch(self) -> None:
        seen = self._turns()
        while not self._ended.wait(self._tick_s):
            turns = self._turns()
            if turns != seen:
                if self.stalled:
                    log.warning("The worker moves again.")
                seen, self._quiet_s = turns, 0.0
                continue
            was_stalled = self.stalled
            self._quiet_s += self._tick_s
            if not self.stalled:
                continue
            if not was_stalled:
                log.error("The worker has not moved for %.0f s: its requests end, new ones are refused.", self._limit_s)
            self._on_stall()
            if self._quiet_s >= 2 * self._limit_s:
                self._on_fatal(f"The worker has not moved for {self._quiet_s:.0f} s.")
                return
