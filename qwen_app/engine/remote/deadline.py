"""How long one answer may take, and how it is cut short from outside."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from qwen_app.messages import FinishReason, Timings

T = TypeVar("T")


class Deadline:
    """Starts when made. ``within`` raises TimeoutError when time is up or ``cut`` was called; ``reason`` says which."""

    def __init__(self, timeout_s: float | None) -> None:
        self._clock = asyncio.get_running_loop().time
        self._started = self._clock()
        self._end = None if timeout_s is None else self._started + timeout_s
        self._scope: asyncio.Timeout | None = None
        self._queued_s: float | None = None
        self._first_token_s: float | None = None
        self.reason: FinishReason = "deadline"

    async def within(self, work: Awaitable[T], limit_s: float | None = None) -> T:
        """Awaits ``work``, for ``limit_s`` at most where that is sooner. Never spans a yield to the reader."""
        end = self._end
        if limit_s is not None:
            end = min(self._clock() + limit_s, end if end is not None else float("inf"))
        try:
            async with asyncio.timeout_at(end) as self._scope:
                return await work
        finally:
            self._scope = None

    def cut(self, reason: FinishReason) -> None:
        """Ends the answer now."""
        self.reason = reason
        self._end = self._clock()
        if self._scope is not None and not self._scope.expired():
            self._scope.reschedule(self._end)

    def note_start(self) -> None:
        self._queued_s = self._elapsed_s()

    def note_token(self) -> None:
        """Only the first call counts."""
        self._first_token_s = self._first_token_s or self._elapsed_s()

    def timings(self) -> Timings:
        total_s = self._elapsed_s()
        queued_s = total_s if self._queued_s is None else self._queued_s
        return Timings(queued_s, self._first_token_s or total_s, total_s)

    def _elapsed_s(self) -> float:
        return self._clock() - self._started
