"""How often a login may be tried."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

WINDOW_S = 60.0
FAILURES_PER_CLIENT = 5
FAILURES_BEFORE_DELAY = 20
DELAY_S = 2.0
CLIENTS_KEPT = 10_000


class Attempts:
    """Failed logins of the last minute.

    A client with five of them has to wait. When many clients guess together, logins are slowed down, never refused:
    the owner still gets in.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._by_client: dict[str, deque[float]] = {}
        self._all: deque[float] = deque(maxlen=FAILURES_BEFORE_DELAY + 1)

    def wait_s(self, client: str) -> float:
        """Seconds until ``client`` may try again; 0 when it may now."""
        failures = self._recent(self._by_client.get(client, deque()))
        return failures[0] + WINDOW_S - self._clock() if len(failures) >= FAILURES_PER_CLIENT else 0.0

    def delay_s(self) -> float:
        """Seconds that every login takes longer just now."""
        return DELAY_S if len(self._recent(self._all)) > FAILURES_BEFORE_DELAY else 0.0

    def note_failure(self, client: str) -> None:
        now = self._clock()
        self._all.append(now)
        failures = self._by_client.pop(client, deque(maxlen=FAILURES_PER_CLIENT))
        failures.append(now)
        self._by_client[client] = failures
        while len(self._by_client) > CLIENTS_KEPT:
            del self._by_client[next(iter(self._by_client))]

    def _recent(self, failures: deque[float]) -> deque[float]:
        while failures and failures[0] <= self._clock() - WINDOW_S:
            failures.popleft()
        return failures
