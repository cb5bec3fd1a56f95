"""One after the other: what costs a thread that all share, a user asks for once at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from qwen_app.errors import TooManyRequests

WAITING = 16


class Turns:
    """Lets one request of a user through at a time. Others of his wait, ``waiting`` at most; nobody else's wait for
    them. For one event loop."""

    def __init__(self, waiting: int = WAITING) -> None:
        self._waiting = waiting
        self._locks: dict[str, asyncio.Lock] = {}
        self._asking: dict[str, int] = {}

    @asynccontextmanager
    async def of(self, user: str) -> AsyncGenerator[None, None]:
        """The block is the user's turn. Raises TooManyRequests when too many of his wait already."""
        asking = self._asking.get(user, 0)
        if asking > self._waiting:
            raise TooManyRequests("Too many of your requests wait for their turn. Try again in a few seconds.")
        self._asking[user] = asking + 1
        try:
            async with self._locks.setdefault(user, asyncio.Lock()):
                yield
        finally:
            self._asking[user] -= 1
            if not self._asking[user]:
                del self._asking[user], self._locks[user]
