"""Answers that outlive their connection: the server runs them, and whoever may see them attaches and leaves again.

An answer is registered before anything is asked of the engine. Its snapshots are numbered, each holds the whole text
so far, and it ends by itself, by ``stop``, or once it has run ``unwatched_s`` seconds with nobody attached.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, suppress
from typing import Generic, TypeVar

SIGN_OF_LIFE_S = 1.0  # the longest that a watcher hears nothing, so that one who is gone is noticed

T = TypeVar("T")
Snapshots = Callable[[asyncio.Event], AsyncGenerator[T, None]]  # of an answer, until the event is set


class LiveAnswer(Generic[T]):
    """One answer being written. ``unwatched`` says that it was ended because nobody looked on.

    ``snapshots`` must yield at least once a second, and end soon after its event is set.
    """

    def __init__(self, snapshots: Snapshots[T], *, unwatched_s: float) -> None:
        self.number = 0  # of the newest snapshot
        self.newest: T | None = None
        self.over = False
        self.unwatched = False
        self._snapshots = snapshots
        self._unwatched_s = unwatched_s
        self._stop = asyncio.Event()
        self._changed = asyncio.Event()
        self._watchers = 0
        self._started_at = self._left_at = _now()
        self._task: asyncio.Task[None] | None = None

    def start(self, noted: Callable[[T], None], ended: Callable[[], Awaitable[None]]) -> None:
        """Run the answer. ``noted`` is called with each snapshot before any watcher sees it, ``ended`` at the end."""
        self._task = asyncio.create_task(self._run(noted, ended))

    def age_s(self) -> float:
        """Seconds since the answer was asked for."""
        return _now() - self._started_at

    def stop(self) -> None:
        """End the answer; what was written is kept. It is over a moment later."""
        self._stop.set()

    async def ended(self) -> None:
        """Wait until the answer is over and its end noted."""
        if self._task is not None:
            with suppress(asyncio.CancelledError):
                await asyncio.shield(self._task)

    async def attach(self, after: int = 0) -> AsyncGenerator[tuple[int, T], None]:
        """The newest snapshot if its number is above ``after``, then each newer one, up to the last.

        Between what was there and what comes nothing can be lost: both are read in one place. While nothing changes,
        the last snapshot comes again every SIGN_OF_LIFE_S seconds.
        """
        self._watchers += 1
        try:
            while True:
                changed = self._changed
                if self.newest is not None and (self.number > after or not self.over):
                    after = self.number
                    yield self.number, self.newest
                if self.over and after >= self.number:
                    return
                if changed is self._changed and not self.over:
                    with suppress(TimeoutError):
                        async with asyncio.timeout(SIGN_OF_LIFE_S):
                            await changed.wait()
        finally:
            self._watchers -= 1
            self._left_at = _now()

    async def _run(self, noted: Callable[[T], None], ended: Callable[[], Awaitable[None]]) -> None:
        try:
            async with aclosing(self._snapshots(self._stop)) as snapshots:
                async for snapshot in snapshots:
                    noted(snapshot)
                    self._publish(snapshot)
                    self._end_if_unwatched()
        finally:
            try:
                await ended()
            finally:
                self.over = True
                self._announce()

    def _publish(self, snapshot: T) -> None:
        self.newest = snapshot
        self.number += 1
        self._announce()

    def _announce(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def _end_if_unwatched(self) -> None:
        if not self._watchers and _now() - self._left_at > self._unwatched_s and not self._stop.is_set():
            self.unwatched = True
            self._stop.set()


def _now() -> float:
    return asyncio.get_running_loop().time()
