"""Threads for what a request needs before its first step. Who waits for one that a drain takes away is told so."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar, TypeVarTuple

from qwen_app.errors import EngineUnavailable

CLOSED = "The server takes no requests now: it is shutting down, or has no thread for one. Try again in a minute."

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class RequestThreads:
    """``count`` threads, called ``name`` in a debugger."""

    def __init__(self, count: int, name: str) -> None:
        self._pool = ThreadPoolExecutor(count, thread_name_prefix=name)

    def begin(self, work: Callable[[*Ts], T], *args: *Ts) -> asyncio.Future[T]:
        """``work`` on one of them, to be awaited with ``outcome_of``. Raises EngineUnavailable where there is none."""
        try:
            return asyncio.get_running_loop().run_in_executor(self._pool, work, *args)
        except RuntimeError:
            raise EngineUnavailable(CLOSED) from None

    def close(self) -> None:
        """Take no more work. What has begun goes on, what has not is cancelled."""
        self._pool.shutdown(wait=False, cancel_futures=True)


async def outcome_of(work: asyncio.Future[T]) -> T:
    """What ``work`` comes to. Raises EngineUnavailable where it was cancelled, and not the one who awaits it."""
    try:
        return await work
    except asyncio.CancelledError:
        waiting = asyncio.current_task()
        if work.cancelled() and not (waiting and waiting.cancelling()):
            raise EngineUnavailable(CLOSED) from None
        raise
