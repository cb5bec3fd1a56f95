from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable

import pytest

from qwen_app.errors import EngineError
from qwen_app.messages import (
    Delta,
    Event,
    Failed,
    Finished,
    GenerationRequest,
    Message,
    Prefill,
    Queued,
    Thought,
    Timings,
    Usage,
)
from qwen_app.testing.scripted_engine import Script, ScriptedEngine
from qwen_app.ui.shared.stream import Progress, after, follow
from qwen_app.ui.shared.throttle import PERIOD_S

pytestmark = pytest.mark.anyio
REQUEST = GenerationRequest("id", (Message("user", "hello"),))
END = Finished("stop", Usage(3, 2), Timings(0, 0, 0))


async def events(*given: Event) -> AsyncGenerator[Event, None]:
    for event in given:
        yield event


async def snapshots(source: AsyncGenerator[Event, None], stop: asyncio.Event | None = None) -> list[Progress]:
    return [progress async for progress in follow(source, stop or asyncio.Event())]


def test_events_add_up() -> None:
    progress = Progress()
    for event in (Queued(2), Prefill(3, 9, 1), Delta("he", (1, 2)), Delta("llo", ())):
        progress = after(progress, event, 1.5)
    assert (progress.phase, progress.text, progress.position) == ("writing", "hello", 2)
    assert (progress.prompt_done, progress.prompt_tokens, progress.reused_tokens) == (3, 9, 1)
    assert (progress.completion_tokens, progress.first_token_s) == (3, 1.5)
    assert after(progress, END, 2).over


def test_thoughts_are_written_and_none_of_the_text() -> None:
    progress = after(Progress(), Thought("Hm."), 1.5)
    assert (progress.phase, progress.text) == ("writing", "")
    assert (progress.completion_tokens, progress.first_token_s) == (1, 1.5)


async def test_the_last_snapshot_has_everything() -> None:
    last = (await snapshots(ScriptedEngine(Script(text=("a", "b", "c"))).generate(REQUEST)))[-1]
    assert isinstance(last.end, Finished)
    assert (last.text, last.completion_tokens) == ("abc", 3)


async def test_many_events_make_few_snapshots() -> None:
    started = asyncio.get_running_loop().time()
    seen = await snapshots(ScriptedEngine(Script(text=("x",) * 500, token_s=0.001)).generate(REQUEST))
    elapsed_s = asyncio.get_running_loop().time() - started
    assert seen[-1].text == "x" * 500
    assert len(seen) <= elapsed_s / PERIOD_S + 2


@pytest.mark.parametrize("script", [Script(text=("x",) * 10_000, token_s=0.01), Script(prefill_s=3600)])
async def test_stopping_closes_the_engine(script: Script) -> None:
    engine = ScriptedEngine(script)
    stop = asyncio.Event()
    last = Progress()
    async for progress in follow(engine.generate(REQUEST), stop):
        last = progress
        stop.set()
    assert (last.phase, last.end, engine.cancelled) == ("stopped", None, 1)


async def test_leaving_closes_the_engine() -> None:
    engine = ScriptedEngine(Script(prefill_s=3600))
    following = follow(engine.generate(REQUEST), asyncio.Event())
    await anext(following)
    await asyncio.sleep(0)
    await following.aclose()  # type: ignore[attr-defined]
    assert engine.cancelled == 1


async def test_a_sign_of_life_while_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qwen_app.ui.shared.throttle.SIGN_OF_LIFE_S", 0.01)
    following = follow(ScriptedEngine(Script(prefill_s=3600)).generate(REQUEST), asyncio.Event())
    for _ in range(4):
        assert not (await anext(following)).over
    await following.aclose()  # type: ignore[attr-defined]


async def broken() -> AsyncGenerator[Event, None]:
    yield Delta("half", (1,))
    raise RuntimeError("a bug")


async def unended() -> AsyncGenerator[Event, None]:
    yield Delta("half", (1,))


@pytest.mark.parametrize("source", [broken, unended])
async def test_a_stream_that_breaks_is_a_failure(source: Callable[[], AsyncGenerator[Event, None]]) -> None:
    last = (await snapshots(source()))[-1]
    assert isinstance(last.end, Failed)
    assert isinstance(last.end.error, EngineError)
    assert (last.text, last.end.partial_text) == ("half", "half")


async def test_an_answer_that_is_there_at_once() -> None:
    assert (await snapshots(events(Delta("all", (1,)), END)))[-1].text == "all"
