"""A scripted engine's answers end where whoever asked leaves, whenever that is."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest

from qwen_app.messages import GenerationRequest, Message
from qwen_app.testing.scripted_engine import Script, ScriptedEngine

pytestmark = pytest.mark.anyio

LONG_S = 60.0


@pytest.mark.parametrize("turns_of_the_loop", range(8))
async def test_who_leaves_just_as_his_turn_comes_has_left(turns_of_the_loop: int) -> None:
    engine = ScriptedEngine(Script(prefill_s=LONG_S), slots=1)

    async def ask(user: str) -> None:
        request = GenerationRequest(user, (Message("user", "Hello"),), timeout_s=LONG_S)
        async with aclosing(engine.generate(request)) as events:
            async for _ in events:
                pass

    first, second = asyncio.create_task(ask("a")), asyncio.create_task(ask("b"))
    await asyncio.sleep(0.05)
    assert (engine._queue.running, engine._queue.queued) == (1, 1)
    first.cancel()
    for _ in range(turns_of_the_loop):  # his place is given to the second, who hears of it a little later
        await asyncio.sleep(0)
    second.cancel()
    _, here = await asyncio.wait({second}, timeout=2)
    second.cancel()
    assert not here
