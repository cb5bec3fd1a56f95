"""How much one caller may ask: requests a minute, tokens a minute, requests at once."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from qwen_app.errors import TooManyRequests

Clock = Callable[[], float]
BUSY_RETRY_S = 1.0


@dataclass(frozen=True, slots=True)
class RateLimits:
    """0 means no limit."""

    requests_per_minute: int = 0
    tokens_per_minute: int = 0
    concurrency: int = 0


class Bucket:
    """Fills evenly to ``per_minute`` and may go into debt, since what an answer costs is known only at its end."""

    def __init__(self, per_minute: int, clock: Clock) -> None:
        self._per_minute = per_minute
        self._clock = clock
        self._level = float(per_minute)
        self._filled_at = clock()

    def wait_s(self, amount: float) -> float:
        """Seconds until ``amount`` is there; 0.0 when it is."""
        if not self._per_minute:
            return 0.0
        now = self._clock()
        grown = (now - self._filled_at) * self._per_minute / 60
        self._level = min(float(self._per_minute), self._level + grown)
        self._filled_at = now
        return max(0.0, (amount - self._level) * 60 / self._per_minute)

    def spend(self, amount: float) -> None:
        if self._per_minute:
            self._level -= amount


class Caller:
    """Somebody who may use the API. ``name`` tells callers apart and holds nothing secret; ``owner`` is whose files are
    his, as the page writes owners."""

    def __init__(self, name: str, limits: RateLimits, clock: Clock, owner: str = "") -> None:
        self.name = name
        self.owner = owner or name
        self._limits = limits
        self._requests = Bucket(limits.requests_per_minute, clock)
        self._tokens = Bucket(limits.tokens_per_minute, clock)
        self._running = 0

    def count_request(self) -> None:
        """Raises TooManyRequests when this minute's requests or tokens are used up."""
        self._wait(self._requests.wait_s(1), f"{self._limits.requests_per_minute} requests a minute")
        self._wait(self._tokens.wait_s(1), f"{self._limits.tokens_per_minute} tokens a minute")
        self._requests.spend(1)

    def acquire(self) -> Callable[[int], None]:
        """Count a running answer. Call the result once, with the tokens the answer cost, when it is over."""
        if self._limits.concurrency and self._running >= self._limits.concurrency:
            self._wait(BUSY_RETRY_S, f"{self._limits.concurrency} requests at once")
        self._running += 1
        return self._release

    def _release(self, tokens: int) -> None:
        self._running -= 1
        self._tokens.spend(tokens)

    @staticmethod
    def _wait(wait_s: float, limit: str) -> None:
        if wait_s > 0:
            raise TooManyRequests(
                f"This key's limit of {limit} is reached. Try again in {math.ceil(wait_s)} s.", retry_after_s=wait_s
            )
