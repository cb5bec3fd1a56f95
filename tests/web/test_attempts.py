from __future__ import annotations

import asyncio

import pytest

from qwen_app.errors import TooManyRequests
from qwen_app.web.attempts import DELAY_S, FREE_TRIES, LANES_KEPT, LONGEST_WAIT_S, NAMES_AT_ONCE, Attempts

pytestmark = pytest.mark.anyio


class Clock:
    now = 100.0
    slept = 0.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.slept += seconds
        await asyncio.sleep(0)


async def wrong() -> bool:
    await asyncio.sleep(0)
    return False


async def right() -> bool:
    await asyncio.sleep(0)
    return True


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def attempts(clock: Clock) -> Attempts:
    return Attempts(clock, clock.sleep)


async def test_a_few_tries_are_free_and_then_they_take_longer_and_longer(attempts: Attempts, clock: Clock) -> None:
    for _ in range(FREE_TRIES):
        assert not await attempts.judge("a", "ada", wrong)
    assert clock.slept == 0
    waits = []
    for _ in range(6):
        before = clock.slept
        await attempts.judge("a", "ada", wrong)
        waits.append(clock.slept - before)
    assert waits == [1, 2, 4, 8, LONGEST_WAIT_S, LONGEST_WAIT_S]


async def test_others_are_not_held_up(attempts: Attempts, clock: Clock) -> None:
    for _ in range(FREE_TRIES + 2):
        await attempts.judge("a", "ada", wrong)
    before = clock.slept
    assert await attempts.judge("b", "ada", right)
    assert await attempts.judge("a", "bob", right)
    assert clock.slept == before


async def test_a_thousand_guesses_take_hours(attempts: Attempts, clock: Clock) -> None:
    for _ in range(1000):
        await attempts.judge("a", "ada", wrong)
    assert clock.now - 100 >= 3 * 3600


async def test_after_any_number_of_failures_the_right_password_gets_in(attempts: Attempts, clock: Clock) -> None:
    for _ in range(50):
        await attempts.judge("a", "ada", wrong)
    before = clock.now
    assert await attempts.judge("a", "ada", right)
    assert clock.now - before <= LONGEST_WAIT_S + DELAY_S
    assert await attempts.judge("a", "ada", right)


async def test_a_burst_is_checked_no_oftener_than_one_after_another() -> None:
    attempts, checked = Attempts(sleep=lambda s: asyncio.sleep(s / 100)), 0

    async def guess() -> bool:
        nonlocal checked
        checked += 1
        await asyncio.sleep(0.01)
        return False

    outcomes = await asyncio.gather(*(attempts.judge("a", "ada", guess) for _ in range(300)), return_exceptions=True)
    assert checked == FREE_TRIES + 1  # the last is the one that waited
    assert sum(isinstance(outcome, TooManyRequests) for outcome in outcomes) == 300 - checked


@pytest.mark.slow
async def test_a_burst_of_right_passwords_gets_in(attempts: Attempts) -> None:
    assert all(await asyncio.gather(*(attempts.judge("a", "ada", right) for _ in range(300))))


async def test_a_try_that_is_broken_off_counts(attempts: Attempts, clock: Clock) -> None:
    async def broken_off() -> bool:
        raise asyncio.CancelledError

    for _ in range(FREE_TRIES):
        with pytest.raises(asyncio.CancelledError):
            await attempts.judge("a", "ada", broken_off)
    await attempts.judge("a", "ada", wrong)
    assert clock.slept == 1


async def test_many_guessers_slow_everybody_and_refuse_nobody(attempts: Attempts, clock: Clock) -> None:
    for client in range(20):
        await attempts.judge(str(client), "ada", wrong)
    assert attempts.delay_s() == 0
    await attempts.judge("20", "ada", wrong)
    assert attempts.delay_s() == DELAY_S
    assert await attempts.judge("owner", "ada", right)
    clock.now += 61
    assert attempts.delay_s() == 0


async def test_one_address_tries_so_many_names_at_once(attempts: Attempts) -> None:
    tries = [attempts.judge("a", str(name), wrong) for name in range(NAMES_AT_ONCE + 1)]
    outcomes = await asyncio.gather(*tries, attempts.judge("b", "ada", right), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [bool] * NAMES_AT_ONCE + [TooManyRequests, bool]
    assert await attempts.judge("a", "ada", right)


async def test_it_does_not_grow_for_ever(attempts: Attempts, clock: Clock) -> None:
    for client in range(LANES_KEPT + 50):
        await attempts.judge(str(client), "ada", wrong)
        clock.now += 100
    assert len(attempts._lanes) == LANES_KEPT
    assert not attempts._names
