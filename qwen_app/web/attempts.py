"""How often a login may be tried: a few times freely, then slower and slower, and never again at once."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable

from qwen_app.errors import TooManyRequests

FREE_TRIES = 4  # one address may try one name so often before it has to wait
LONGEST_WAIT_S = 15.0  # nobody waits longer for his turn, so that a right password always gets in
FORGOTTEN_S = 900.0  # after the last failure
WINDOW_S = 60.0
FAILURES_BEFORE_DELAY = 20  # of everybody within WINDOW_S
DELAY_S = 2.0
LANES_KEPT = 10_000
NAMES_AT_ONCE = 64  # that one address may be trying; each costs a slow hash

Sleep = Callable[[float], Awaitable[None]]


class Lane:
    """The tries of one address for one name, checked one after another."""

    def __init__(self) -> None:
        self.turn = asyncio.Lock()
        self.failures = 0
        self.next_at = 0.0
        self.somebody_waits = False
        self.users = 0


class Attempts:
    """Failed logins, by address and name: what others do at other addresses holds nobody up.

    A try counts as failed from its beginning and is taken back when it was right, so a burst gains nothing. When many
    addresses guess together, every login takes a little longer; none is refused for it.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, sleep: Sleep = asyncio.sleep) -> None:
        self._clock = clock
        self._sleep = sleep
        self._lanes: dict[tuple[str, str], Lane] = {}
        self._all: deque[float] = deque(maxlen=FAILURES_BEFORE_DELAY + 1)
        self._names: Counter[str] = Counter()  # being tried just now, by address

    async def judge(self, client: str, user: str, check: Callable[[], Awaitable[bool]]) -> bool:
        """What ``check`` says, when it is the turn of ``client`` to try ``user``.

        Raises TooManyRequests when somebody already waits for that turn.
        """
        lane = self._lane(client, user)
        if not lane.users:
            if self._names[client] >= NAMES_AT_ONCE:
                raise _come_back(1.0)
            self._names[client] += 1
        lane.users += 1
        try:
            await self._sleep(self.delay_s())
            return await self._in_turn(lane, check)
        finally:
            lane.users -= 1
            if not lane.users:
                self._names -= Counter({client: 1})  # and forget who has none

    def delay_s(self) -> float:
        """Seconds that every login takes longer just now."""
        while self._all and self._all[0] <= self._clock() - WINDOW_S:
            self._all.popleft()
        return DELAY_S if len(self._all) > FAILURES_BEFORE_DELAY else 0.0

    async def _in_turn(self, lane: Lane, check: Callable[[], Awaitable[bool]]) -> bool:
        async with lane.turn:
            wait_s = lane.next_at - self._clock()
            if wait_s <= 0:
                return await self._count(lane, check)
            if lane.somebody_waits:
                raise _come_back(wait_s)
            lane.somebody_waits = True
        try:
            await self._sleep(wait_s)
            async with lane.turn:
                return await self._count(lane, check)
        finally:
            lane.somebody_waits = False

    async def _count(self, lane: Lane, check: Callable[[], Awaitable[bool]]) -> bool:
        now = self._clock()
        if now > lane.next_at + FORGOTTEN_S:
            lane.failures = 0
        lane.failures += 1
        lane.next_at = now + _spacing_s(lane.failures)
        if await check():
            lane.failures, lane.next_at = 0, 0.0
            return True
        self._all.append(self._clock())
        return False

    def _lane(self, client: str, user: str) -> Lane:
        key = client, user[:100]
        lane = self._lanes.pop(key, None) or Lane()
        self._lanes[key] = lane
        if len(self._lanes) > LANES_KEPT:
            idle = next((key for key, lane in self._lanes.items() if not lane.users), None)
            if idle is not None:
                del self._lanes[idle]
        return lane


def _spacing_s(failures: int) -> float:
    if failures < FREE_TRIES:
        return 0.0
    return min(2.0 ** min(failures - FREE_TRIES, 10), LONGEST_WAIT_S)


def _come_back(wait_s: float) -> TooManyRequests:
    seconds = max(1, round(wait_s))
    return TooManyRequests(
        f"Too many failed attempts. Try again in {seconds} s. 失败次数过多，请在 {seconds} 秒后再试。",
        retry_after_s=wait_s,
    )
