from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qwen_app.ui.shared import throttle
from qwen_app.ui.shared.throttle import latest
from tests.examples import examples

pytestmark = pytest.mark.anyio


async def numbers(count: int, *, every_s: float = 0.0) -> AsyncGenerator[int, None]:
    for number in range(count):
        await asyncio.sleep(every_s)
        yield number


async def shown(source: AsyncGenerator[int, None], stop: asyncio.Event | None = None) -> list[int]:
    async with aclosing(latest(source, stop or asyncio.Event())) as snapshots:
        return [snapshot async for snapshot in snapshots]


@settings(max_examples=examples(20))
@given(count=st.integers(1, 60))
def test_the_last_one_is_always_shown_and_none_goes_back(count: int) -> None:
    seen = asyncio.run(shown(numbers(count)))
    assert seen[-1] == count - 1
    assert seen == sorted(seen)


async def test_many_in_a_moment_are_few_updates() -> None:
    assert len(await shown(numbers(5_000))) < 50


async def test_nothing_gives_nothing() -> None:
    assert await shown(numbers(0)) == []


async def test_stop_ends_a_source_that_goes_on_and_shows_what_there_is() -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().call_later(0.3, stop.set)
    seen = await asyncio.wait_for(shown(numbers(1_000_000, every_s=0.01), stop), 20)
    assert 0 < seen[-1] < 999_999


async def silent() -> AsyncGenerator[int, None]:
    yield 7
    await asyncio.Event().wait()


async def test_a_source_that_is_silent_shows_its_last_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throttle, "SIGN_OF_LIFE_S", 0.01)
    async with asyncio.timeout(20), aclosing(latest(silent(), asyncio.Event())) as snapshots:
        assert [await anext(snapshots) for _ in range(3)] == [7, 7, 7]


async def test_stop_ends_the_wait_for_a_source_that_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throttle, "SIGN_OF_LIFE_S", 3600)
    stop = asyncio.Event()
    asyncio.get_running_loop().call_later(0.2, stop.set)
    async with asyncio.timeout(20):
        assert set(await shown(silent(), stop)) == {7}


async def test_what_the_source_raises_is_raised_after_what_came_before() -> None:
    async def broken() -> AsyncGenerator[int, None]:
        yield 1
        await asyncio.sleep(0.3)
        raise ValueError("broken")

    seen = []

    async def look() -> None:
        async with aclosing(latest(broken(), asyncio.Event())) as snapshots:
            async for snapshot in snapshots:
                seen.append(snapshot)

    with pytest.raises(ValueError, match="broken"):
        await look()
    assert seen[0] == 1
