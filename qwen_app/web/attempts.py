"""How often a login may be tried: a few times freely, then slower and slower, and never again at once."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TypeVar

from qwen_app.errors import TooManyRequests

FREE_TRIES = 4  # one address may try one name so often before it has to wait
LONGEST_WAIT_S = 15.0  # nobody waits longer for his turn, so that a right password always gets in
FORGOTTEN_S = 900.0  # after the last failure
WINDOW_S = 60.0
FAILURES_BEFORE_DELAY = 20  # of everybody within WINDOW_S
DELAY_S = 2.0
KEPT = 10_000  # lanes, and addresses
NAMES_AT_ONCE = 64  # that one address may be trying; each costs a slow hash
GUESSES = 20  # failures of one address within WINDOW_S, by whatever names; then its hashes are SPACING_S apart
SPACING_S = 0.25  # a fifth of a core; the last of NAMES_AT_ONCE waits no longer than for his lane

Sleep = Callable[[float], Awaitable[None]]
Check = Callable[[], Awaitable[bool]]


class Lane:
    """The tries of one address for one name, checked one after another."""

    def __init__(self) -> None:
        self.turn = asyncio.Lock()
        self.failures = 0
        self.next_at = 0.0
        self.somebody_waits = False
        self.users = 0


class Address:
    """The tries of one address for all names, each of which costs a slow hash."""

    def __init__(self) -> None:
        self.turn = asyncio.Lock()
        self.failures: deque[float] = deque()  # within WINDOW_S
        self.next_at = 0.0
        self.users = 0  # lanes in use


Key = TypeVar("Key")
Kept = TypeVar("Kept", Lane, Address)


class Attempts:
    """Failed logins, by address and name: what others do at other addresses holds nobody up.

    A try counts as failed from its beginning and is taken back when it was right, so a burst gains nothing. An address
    that guesses with ever new names gets its hashes one at a time. When many addresses guess together, every login
    takes a little longer; none is refused for it.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, sleep: Sleep = asyncio.sleep) -> None:
        self._clock = clock
        self._sleep = sleep
        self._lanes: dict[tuple[str, str], Lane] = {}
        self._addresses: dict[str, Address] = {}
        self._all: deque[float] = deque(maxlen=FAILURES_BEFORE_DELAY + 1)

    async def judge(self, client: str, user: str, check: Check) -> bool:
        """What ``check`` says, when it is the turn of ``client`` to try ``user``.

        Raises TooManyRequests when somebody already waits for that turn.
        """
        address, name = _kept(self._addresses, client, Address), (client, user[:100])
        if address.users >= NAMES_AT_ONCE and not self._is_tried(name):
            raise _come_back(1.0)  # before there is a lane: who is refused must not make the table forget another
        lane = _kept(self._lanes, name, Lane)
        address.users += not lane.users
        lane.users += 1
        try:
            await self._sleep(self.delay_s())
            return await self._in_turn(lane, lambda: self._paced(address, check))
        finally:
            lane.users -= 1
            if not lane.users:
                address.users -= 1

    def delay_s(self) -> float:
        """Seconds that every login takes longer just now."""
        while self._all and self._all[0] <= self._clock() - WINDOW_S:
            self._all.popleft()
        return DELAY_S if len(self._all) > FAILURES_BEFORE_DELAY else 0.0

    def _is_tried(self, name: tuple[str, str]) -> bool:
        return name in self._lanes and self._lanes[name].users > 0

    async def _in_turn(self, lane: Lane, check: Check) -> bool:
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

    async def _count(self, lane: Lane, check: Check) -> bool:
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

    async def _paced(self, address: Address, check: Check) -> bool:
        """What ``check`` says, at once, or in its turn where this address guesses."""
        now = self._clock()
        while address.failures and address.failures[0] <= now - WINDOW_S:
            address.failures.popleft()
        guesses = len(address.failures) >= GUESSES
        address.failures.append(now)
        if not guesses:
            known = await check()
        else:
            async with address.turn:
                await self._sleep(max(0.0, address.next_at - self._clock()))
                address.next_at = self._clock() + SPACING_S
                known = await check()
        if known and now in address.failures:
            address.failures.remove(now)
        return known


def _kept(table: dict[Key, Kept], key: Key, new: Callable[[], Kept]) -> Kept:
    """The value of ``key``, which is the last to be forgotten now."""
    table[key] = value = table.pop(key, None) or new()
    if len(table) > KEPT:
        idle = next((key for key, value in table.items() if not value.users), None)
        if idle is not None:
            del table[idle]
    return value


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
