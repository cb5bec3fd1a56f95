"""A step that never returns: whoever waits is told in time, newcomers are refused, and the process can be replaced.

Nothing here is told by the thread that hangs: deadlines are the event loop's, the rest is the watchdog's.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import aclosing
from pathlib import Path

import pytest

from qwen_app.engine.local.watchdog import Watchdog
from qwen_app.errors import EngineUnavailable
from qwen_app.messages import Event, Failed, Finished, GenerationRequest
from tests.api.serving import running_api
from tests.engine.contract import ask, check_shape, collect, text_of, until_idle, until_text
from tests.engine.local.tiny import OpenEngine, StepGate, load_talkative, tiny_engine, until

LIMIT_S = 1.0  # the watchdog's


def say(prompt: str, max_tokens: int = 200, timeout_s: float | None = None) -> GenerationRequest:
    return ask(messages=(), prompt=prompt, max_tokens=max_tokens, user=prompt, timeout_s=timeout_s)


def unavailable(events: Sequence[Event]) -> bool:
    last = check_shape(list(events))
    return isinstance(last, Failed) and isinstance(last.error, EngineUnavailable) and last.error.http_status == 503


async def stuck(opened: OpenEngine) -> StepGate:
    """The gate that holds the worker from the next step on."""
    opened.runner.before = gate = StepGate()
    gate.close()
    return gate


@pytest.mark.anyio
async def test_a_deadline_is_kept_while_the_worker_hangs(tiny_qwen_dir: Path) -> None:
    async with tiny_engine(tiny_qwen_dir, watchdog_s=12.0) as opened:  # the grace is a sixth of it
        gate = await stuck(opened)
        started = asyncio.get_running_loop().time()
        requests = (say(f"r{n}", timeout_s=0.5) for n in range(6))  # four running, two waiting
        for events in await asyncio.gather(*(collect(opened.engine, request) for request in requests)):
            assert unavailable(events)
        assert asyncio.get_running_loop().time() - started < 10.0
        assert not opened.fatal
        gate.open()
        await until_idle(opened.engine)  # the worker lets go of them when it moves again
        assert isinstance(check_shape(await collect(opened.engine, say("next", 5))), Finished)


@pytest.mark.anyio
async def test_streams_end_and_newcomers_are_refused_until_the_worker_moves_again(tiny_qwen_dir: Path) -> None:
    async with tiny_engine(tiny_qwen_dir, watchdog_s=3.0) as opened:
        async with aclosing(opened.engine.generate(say("one"))) as stream:
            seen = await until_text(stream)
            gate = await stuck(opened)
            seen += [event async for event in stream]
        assert unavailable(seen)
        assert isinstance(seen[-1], Failed)
        assert seen[-1].partial_text == text_of(seen)
        health = opened.engine.health()
        assert (health.state, health.ready) == ("stalled", False)
        assert "has not moved" in health.reason
        refused = await collect(opened.engine, say("two"))
        assert len(refused) == 1
        assert unavailable(refused)
        gate.open()
        await until(lambda: opened.engine.health().ready)
        await until_idle(opened.engine)
        assert isinstance(check_shape(await collect(opened.engine, say("three", 5))), Finished)
        assert not opened.fatal


@pytest.mark.anyio
async def test_the_process_is_given_up_once_after_a_second_limit(tiny_qwen_dir: Path) -> None:
    async with tiny_engine(tiny_qwen_dir, watchdog_s=LIMIT_S) as opened:
        gate = await stuck(opened)
        assert unavailable(await collect(opened.engine, say("one")))
        await until(lambda: bool(opened.fatal))
        assert opened.engine.health().state == "stopped"
        assert unavailable(await collect(opened.engine, say("two")))
        await asyncio.sleep(2 * LIMIT_S)
        assert len(opened.fatal) == 1
        gate.open()


@pytest.mark.anyio
async def test_a_drain_does_not_wait_for_a_worker_that_hangs(tiny_qwen_dir: Path) -> None:
    opened = OpenEngine(load_talkative(tiny_qwen_dir), watchdog_s=LIMIT_S)
    gate = await stuck(opened)
    answering = asyncio.create_task(collect(opened.engine, say("one")))
    await until(lambda: gate.holding)
    async with asyncio.timeout(20):
        await opened.engine.drain(30.0)
        assert unavailable(await answering)
    gate.open()


@pytest.mark.anyio
async def test_whoever_hangs_at_the_end_of_a_drain_is_told(tiny_qwen_dir: Path) -> None:
    """The drain is over before the watchdog notices anything."""
    opened = OpenEngine(load_talkative(tiny_qwen_dir), watchdog_s=600.0)
    gate = await stuck(opened)
    answering = asyncio.create_task(collect(opened.engine, say("one")))
    await until(lambda: gate.holding)
    async with asyncio.timeout(20):
        await opened.engine.drain(0.1)
        assert unavailable(await answering)
    gate.open()


@pytest.mark.anyio
async def test_a_thread_that_prepares_prompts_and_hangs_costs_its_own_request(
    tiny_qwen_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with tiny_engine(tiny_qwen_dir, watchdog_s=3.0) as opened:
        free = threading.Event()
        monkeypatch.setattr(
            "qwen_app.engine.local.request_processor.RequestProcessor.process", lambda *_: free.wait(30)
        )
        assert unavailable(await collect(opened.engine, say("one", timeout_s=0.2)))
        monkeypatch.undo()
        assert isinstance(check_shape(await collect(opened.engine, say("two", 5))), Finished)
        free.set()


@pytest.fixture(scope="module")
def stalled(tiny_qwen_dir: Path) -> Iterator[OpenEngine]:
    opened = OpenEngine(load_talkative(tiny_qwen_dir), watchdog_s=5.0)
    yield opened
    opened.heal()
    asyncio.run(opened.engine.drain(0.0))


def test_the_api_says_so(stalled: OpenEngine) -> None:
    """An open stream gets an error event, a new request 503 with Retry-After, and /ready the reason."""
    with running_api(stalled.engine) as api:
        stalled.runner.before = gate = StepGate()
        gate.close()
        body = {"model": "default", "messages": [{"role": "user", "content": "Hi"}], "stream": True}
        with api.http.stream("POST", "/v1/chat/completions", json=body) as stream:
            told = stream.read().decode()
        assert "service_unavailable" in told
        ready = api.http.get("/ready")
        assert (ready.status_code, ready.json()["status"]) == (503, "stalled")
        refused = api.chat()
        assert refused.status_code == 503
        assert refused.headers["retry-after"]
        assert api.http.get("/health").status_code == 200
        gate.open()


def looked_at(turns: Callable[[], int], enough: threading.Event) -> tuple[list[str], Watchdog]:
    calls: list[str] = []

    def fatal(reason: str) -> None:
        calls.append(f"fatal: {reason}")
        enough.set()

    watchdog = Watchdog(turns, limit_s=0.2, on_stall=lambda: calls.append("stall"), on_fatal=fatal)
    watchdog.start()
    return calls, watchdog


def test_the_watchdog_tells_stalls_first_and_the_end_once() -> None:
    enough = threading.Event()
    calls, watchdog = looked_at(lambda: 7, enough)
    assert enough.wait(10)
    assert calls[0] == "stall"
    assert [call for call in calls if call != "stall"] == [calls[-1]]
    assert watchdog.stalled


def test_the_watchdog_lets_a_worker_that_moves_alone() -> None:
    enough = threading.Event()
    seen = iter(range(10**9))
    calls, watchdog = looked_at(lambda: next(seen), enough)
    assert not enough.wait(1.0)
    watchdog.stop()
    assert calls == []
