"""An answer's time, and cutting it short while it waits, and while it does not."""

from __future__ import annotations

import asyncio

import pytest

from qwen_app.engine.remote.deadline import Deadline

pytestmark = pytest.mark.anyio


async def test_time_that_is_up_ends_the_wait() -> None:
    deadline = Deadline(0.01)
    with pytest.raises(TimeoutError):
        await deadline.within(asyncio.Event().wait())
    assert deadline.reason == "deadline"


async def test_a_limit_of_one_wait_is_not_the_end_of_all() -> None:
    deadline = Deadline(60)
    with pytest.raises(TimeoutError):
        await deadline.within(asyncio.Event().wait(), limit_s=0.01)
    assert await deadline.within(asyncio.sleep(0, "there")) == "there"


async def test_a_cut_ends_the_wait() -> None:
    deadline = Deadline(None)
    waiting = asyncio.create_task(deadline.within(asyncio.Event().wait()))
    await asyncio.sleep(0)
    deadline.cut("cancelled")
    with pytest.raises(TimeoutError):
        await waiting
    assert deadline.reason == "cancelled"


async def test_a_cut_between_waits_ends_the_next() -> None:
    """The reader has an event, and nothing is waited for."""
    deadline = Deadline(60)
    await deadline.within(asyncio.sleep(0))
    deadline.cut("cancelled")
    with pytest.raises(TimeoutError):
        await deadline.within(asyncio.Event().wait())
