from __future__ import annotations

import asyncio

import pytest

from qwen_app.errors import TooManyRequests
from qwen_app.web.attempts import (
    DELAY_S,
    FREE_TRIES,
    GUESSES,
    KEPT,
    LONGEST_WAIT_S,
    NAMES_AT_ONCE,
    SPACING_S,
    Attempts,
)

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


async def test_guesses_with_ever_new_names_cost_a_part_of_a_core(
    attempts: Attempts, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("qwen_app.web.attempts.DELAY_S", 0.0)  # which everybody would wait, too
    for name in range(GUESSES):
        await attempts.judge("a", str(name), wrong)
    assert clock.slept == 0
    before = clock.now
    for name in range(GUESSES, GUESSES + 41):
        await attempts.judge("a", str(name), wrong)
    assert clock.now - before >= 40 * SPACING_S
    clock.now += 61
    before = clock.now
    assert await attempts.judge("a", "ada", right)
    assert clock.now == before


async def test_such_guesses_are_hashed_one_at_a_time() -> None:
    attempts, hashing, most = Attempts(sleep=lambda s: asyncio.sleep(s / 100)), 0, 0

    async def guess() -> bool:
        nonlocal hashing, most
        hashing += 1
        most = max(most, hashing)
        await asyncio.sleep(0.001)
        hashing -= 1
        return False

    for name in range(GUESSES):
        await attempts.judge("a", f"before-{name}", guess)
    await asyncio.gather(*(attempts.judge("a", str(name), guess) for name in range(NAMES_AT_ONCE)))
    assert most == 1


async def test_a_right_password_takes_back_no_guess_but_its_own(
    attempts: Attempts, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("qwen_app.web.attempts.DELAY_S", 0.0)
    for name in range(GUESSES):
        await attempts.judge("a", str(name), wrong)
    before = clock.now
    for name in range(20):
        assert await attempts.judge("a", "own", right)
        await attempts.judge("a", f"guess-{name}", wrong)
    assert clock.now - before >= 39 * SPACING_S


async def test_names_that_are_refused_make_no_other_forgotten() -> None:
    attempts, never = Attempts(), asyncio.Event()

    async def unanswered() -> bool:
        return await never.wait()

    for _ in range(FREE_TRIES):
        await attempts.judge("a", "ada", wrong)
    held = [asyncio.create_task(attempts.judge("a", str(name), unanswered)) for name in range(NAMES_AT_ONCE)]
    await asyncio.sleep(0)
    for name in range(KEPT + 1):
        with pytest.raises(TooManyRequests):
            await attempts.judge("a", f"refused-{name}", wrong)
    assert attempts._lanes["a", "ada"].failures == FREE_TRIES
    never.set()
    await asyncio.gather(*held)


async def test_right_passwords_of_one_address_are_no_guesses(attempts: Attempts, clock: Clock) -> None:
    for name in range(3 * GUESSES):
        assert await attempts.judge("office", str(name), right)
    assert clock.slept == 0


async def test_it_does_not_grow_for_ever(attempts: Attempts, clock: Clock) -> None:
    for client in range(KEPT + 50):
        await attempts.judge(str(client), "ada", wrong)
        clock.now += 100
    assert len(attempts._lanes) == len(attempts._addresses) == KEPT
