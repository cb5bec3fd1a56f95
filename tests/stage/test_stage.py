"""Pause and stop: through the service, as every answer goes."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import anyio
import pytest

from qwen_app.errors import AnswersPaused, GuestLinkOver, StoppedByPresenter
from qwen_app.messages import Delta, Event, Failed, Finished, GenerationRequest, Message
from qwen_app.service import Service
from qwen_app.testing.scripted_engine import Script, ScriptedEngine

pytestmark = pytest.mark.anyio
ENDLESS = Script(("word ",) * 100_000, token_s=0.001)


def asked(user: str) -> GenerationRequest:
    return GenerationRequest("r", (Message("user", "?"),), user=user)


async def events(service: Service, user: str) -> list[Event]:
    return [event async for event in service.generate(asked(user))]


async def test_a_pause_holds_for_all_but_whoever_made_it() -> None:
    service = Service(ScriptedEngine())
    service.stage.pause("ada")
    (refused,) = await events(service, "guest 1")
    assert isinstance(refused, Failed)
    assert isinstance(refused.error, AnswersPaused)
    assert isinstance((await events(service, "ada"))[-1], Finished)
    service.stage.resume()
    assert isinstance((await events(service, "guest 1"))[-1], Finished)


async def test_a_fallback_does_not_hide_a_pause() -> None:
    service = Service(ScriptedEngine(), fallback="Sorry.")
    service.stage.pause("ada")
    (refused,) = await events(service, "bob")
    assert isinstance(refused, Failed)


async def test_a_pause_leaves_what_is_running() -> None:
    service = Service(ScriptedEngine(Script(("word ",) * 20, token_s=0.001)))
    async with aclosing(service.generate(asked("bob"))) as answer:
        await anext(answer)
        service.stage.pause("ada")
        assert isinstance([event async for event in answer][-1], Finished)


@pytest.mark.parametrize("script", [ENDLESS, Script(prefill_s=3600)], ids=["writing", "reading"])
async def test_stop_ends_every_answer_with_what_it_had(script: Script) -> None:
    service = Service(ScriptedEngine(script, slots=1))
    ended: list[Event] = []

    async def ask(user: str) -> None:
        ended.append((await events(service, user))[-1])

    with anyio.fail_after(20):
        async with anyio.create_task_group() as asking:
            for user in ("ada", "bob", "bob"):  # two of them wait in the queue
                asking.start_soon(ask, user)
            await anyio.wait_all_tasks_blocked()
            assert service.stage.running() == {"ada": 1, "bob": 2}
            assert service.stage.stop() == 3
    assert [type(event.error) for event in ended if isinstance(event, Failed)] == [StoppedByPresenter] * 3
    assert service.stage.running() == {}
    assert service.health().running + service.health().queued == 0


async def test_an_answer_stopped_between_two_events_keeps_what_was_read() -> None:
    service = Service(ScriptedEngine(ENDLESS))
    read = ""
    async with aclosing(service.generate(asked("guest 1"))) as answer:
        async for event in answer:
            if isinstance(event, Delta):
                read += event.text
            if len(read) > 20:
                service.stage.stop("guest 1", GuestLinkOver())
    assert isinstance(event, Failed)
    assert isinstance(event.error, GuestLinkOver)
    assert event.partial_text == read


async def test_stop_of_one_leaves_the_others() -> None:
    service = Service(ScriptedEngine(Script(("word ",) * 30, token_s=0.001)))
    async with aclosing(service.generate(asked("bob"))) as answer:
        await anext(answer)
        assert service.stage.stop("guest 1") == 0
        assert isinstance([event async for event in answer][-1], Finished)


async def test_who_leaves_is_not_taken_for_stopped() -> None:
    service = Service(ScriptedEngine(ENDLESS))
    asking = asyncio.create_task(events(service, "bob"))
    await asyncio.sleep(0.05)
    service.stage.stop()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert service.stage.running() == {}
