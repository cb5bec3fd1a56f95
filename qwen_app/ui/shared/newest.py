"""The newest of many snapshots: at most ten a second, and at least one, so that a closed tab is noticed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import Generic, TypeVar

from qwen_app.ui.shared.stream import PERIOD_S, first_of

T = TypeVar("T")


class _Kept(Generic[T]):
    """Holds the newest snapshot while its source runs on."""

    def __init__(self) -> None:
        self.value: T | None = None
        self.fresh = asyncio.Event()

    async def listen(self, source: AsyncGenerator[T, None]) -> None:
        try:
            async for self.value in source:
                self.fresh.set()
        finally:
            self.fresh.set()


async def newest(source: AsyncGenerator[T, None], stop: asyncio.Event) -> AsyncGenerator[T, None]:
    """Snapshots of ``source``, its last one always among them, until its end or until ``stop`` is set.

    The same snapshot may come twice. What ``source`` raises is raised. It is closed by the caller, and cancelled here.
    """
    kept: _Kept[T] = _Kept()
    task = asyncio.create_task(kept.listen(source))
    stopping = asyncio.create_task(stop.wait())
    try:
        while not task.done() and not stop.is_set():
            await first_of(stopping, kept.fresh)
            kept.fresh.clear()
            if kept.value is not None:
                yield kept.value
            await asyncio.wait({task, stopping}, timeout=PERIOD_S, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            await task
    finally:
        stopping.cancel()
        task.cancel()
        with suppress(asyncio.CancelledError, Exception):
            await task
    if kept.value is not None:
        yield kept.value
