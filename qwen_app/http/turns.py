"""One after the other: what costs a thread that all share, a user asks for once at a time; files, few of all users."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from qwen_app.errors import TooManyRequests
from qwen_app.fair_share import is_guest

WAITING = 16
AT_ONCE = 8  # files being read, of everybody together
GUESTS_AT_ONCE = 4  # of these


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


class Turnstile:
    """Lets one file of a user through at a time, AT_ONCE of all users, some of them guests'. For one event loop."""

    def __init__(self) -> None:
        self._reading: set[str] = set()
        self._turns = Turns()

    @asynccontextmanager
    async def passing(self, user: str) -> AsyncGenerator[None, None]:
        """Raises TooManyRequests while another file of ``user`` is being read, or as many as may be."""
        guests = is_guest(user) and sum(map(is_guest, self._reading)) >= GUESTS_AT_ONCE
        if user in self._reading or len(self._reading) >= AT_ONCE or guests:
            raise TooManyRequests("Another file is being read. Try again in a few seconds.")
        self._reading.add(user)
        try:
            yield
        finally:
            self._reading.discard(user)

    @asynccontextmanager
    async def in_turn(self, user: str) -> AsyncGenerator[None, None]:
        """As ``passing``, for programs that send several at once: a few of them wait for the one before."""
        async with self._turns.of(user), self.passing(user):
            yield
