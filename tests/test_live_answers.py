"""Answers that outlive their connection: what watchers see, and when the answer ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qwen_app.live_answers import LiveAnswer
from tests.examples import examples

pytestmark = pytest.mark.anyio


class Source:
    """Numbers up to ``end``, each when the test says so."""

    def __init__(self, end: int) -> None:
        self.end = end
        self.go = asyncio.Semaphore(0)
        self.notes: list[int] = []
        self.ended = 0

    async def __call__(self, stop: asyncio.Event) -> AsyncGenerator[int, None]:
        for number in range(1, self.end + 1):
            await self.go.acquire()
            if stop.is_set():
                return
            yield number

    def start(self, unwatched_s: float = 60) -> LiveAnswer[int]:
        live = LiveAnswer[int](self, unwatched_s=unwatched_s)
        live.start(self.notes.append, self.end_noted)
        return live

    async def end_noted(self) -> None:
        self.ended += 1

    async def release(self, number: int) -> None:
        for _ in range(number):
            self.go.release()
            for _ in range(4):
                await asyncio.sleep(0)


async def seen(live: LiveAnswer[int], after: int = 0) -> list[tuple[int, int]]:
    return [snapshot async for snapshot in live.attach(after)]


@settings(max_examples=examples(30))
@given(steps=st.lists(st.integers(1, 5), min_size=1, max_size=6), joins=st.integers(0, 5))
async def test_whoever_joins_when_sees_newer_snapshots_in_order_and_the_last(steps: list[int], joins: int) -> None:
    source = Source(sum(steps))
    live = source.start()
    watcher: asyncio.Task[list[tuple[int, int]]] | None = None
    for place, step in enumerate(steps):
        if place == min(joins, len(steps) - 1):
            watcher = asyncio.create_task(seen(live))
        await source.release(step)
    await live.ended()
    assert watcher is not None
    numbers = [number for number, _ in await watcher]
    assert numbers == sorted(set(numbers))
    assert numbers[-1] == source.end
    assert source.notes == list(range(1, source.end + 1))
    assert source.ended == 1


async def test_who_comes_back_is_shown_what_he_has_not_seen() -> None:
    source = Source(3)
    live = source.start()
    await source.release(2)
    async with aclosing(live.attach()) as first:
        number, snapshot = await anext(first)
    assert (number, snapshot) == (2, 2)
    await source.release(1)
    await live.ended()
    assert await seen(live, after=number) == [(3, 3)]
    assert await seen(live, after=3) == []


async def test_stop_ends_it_and_what_was_written_stays() -> None:
    source = Source(5)
    live = source.start()
    await source.release(1)
    live.stop()
    await source.release(1)
    await live.ended()
    assert (live.over, live.newest, source.ended, live.unwatched) == (True, 1, 1, False)


async def test_unwatched_for_too_long_it_ends() -> None:
    source = Source(5)
    live = source.start(unwatched_s=0)
    async with aclosing(live.attach()) as watching:
        first = asyncio.ensure_future(anext(watching))
        await asyncio.sleep(0)
        await source.release(1)
        await first
        await source.release(1)
        assert not live.unwatched
    await asyncio.sleep(0.01)
    await source.release(2)
    await live.ended()
    assert live.unwatched


async def test_a_source_that_breaks_ends_the_answer() -> None:
    async def broken(_: asyncio.Event) -> AsyncGenerator[int, None]:
        yield 1
        raise RuntimeError("broken")

    source = Source(0)
    live = LiveAnswer[int](broken, unwatched_s=60)
    live.start(source.notes.append, source.end_noted)
    with pytest.raises(RuntimeError):
        await live.ended()
    assert (live.over, source.ended) == (True, 1)
    assert await seen(live) == [(1, 1)]


async def test_an_end_that_breaks_is_an_end() -> None:
    async def broken_end() -> None:
        raise RuntimeError("broken")

    source = Source(1)
    live = LiveAnswer[int](source, unwatched_s=60)
    live.start(source.notes.append, broken_end)
    await source.release(1)
    with pytest.raises(RuntimeError):
        await live.ended()
    assert live.over
    assert await seen(live) == [(1, 1)]
