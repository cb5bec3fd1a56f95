"""Throttle: the newest of many snapshots, at most twenty a second, and one at least: a closed tab is noticed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import Generic, TypeVar

PERIOD_S = 0.05
SIGN_OF_LIFE_S = 1.0

T = TypeVar("T")


class _Newest(Generic[T]):
    """Holds the newest snapshot while its source runs on."""

    def __init__(self) -> None:
        self.snapshot: T | None = None
        self.changed = asyncio.Event()

    async def read(self, source: AsyncGenerator[T, None]) -> None:
        try:
            async for self.snapshot in source:
                self.changed.set()
        finally:
            self.changed.set()


async def latest(source: AsyncGenerator[T, None], stop: asyncio.Event) -> AsyncGenerator[T, None]:
    """Snapshots of ``source``, its last one always among them, until its end or until ``stop`` is set.

    The same snapshot may come twice. What ``source`` raises is raised. It is closed by the caller, and cancelled here.
    """
    newest: _Newest[T] = _Newest()
    reading = asyncio.create_task(newest.read(source))
    stopping = asyncio.create_task(stop.wait())
    stopping.add_done_callback(lambda _: newest.changed.set())
    try:
        while not reading.done() and not stop.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(SIGN_OF_LIFE_S):
                    await newest.changed.wait()
            newest.changed.clear()
            if newest.snapshot is not None:
                yield newest.snapshot
            await asyncio.wait({reading, stopping}, timeout=PERIOD_S, return_when=asyncio.FIRST_COMPLETED)
        if reading.done():
            await reading
    finally:
        stopping.cancel()
        reading.cancel()
        with suppress(asyncio.CancelledError, Exception):
            await reading
    if newest.snapshot is not None:
        yield newest.snapshot
