"""Files on their way in: one of a user at a time, few of all, whatever door they come by."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from qwen_app.errors import TooManyRequests
from qwen_app.fair_share import is_guest
from qwen_app.http.turns import Turns

AT_ONCE = 8  # files being read, of everybody together
GUESTS_AT_ONCE = 4  # of these


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
