from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from qwen_app.engine.local.request_processor import RequestProcessor
from qwen_app.engine.local.request_threads import RequestThreads, outcome_of
from qwen_app.engine.local.steps.event_queue import EventQueue
from qwen_app.engine.local.steps.sequence import SequenceState
from qwen_app.errors import EngineUnavailable
from qwen_app.messages import Failed, GenerationRequest, JsonObject
from tests.engine.contract import ask, check_shape, collect
from tests.engine.local.tiny import OpenEngine, load_talkative

pytestmark = pytest.mark.anyio


@pytest.fixture
def held() -> Iterator[threading.Event]:
    """Until it is set, whatever waits for it holds its thread."""
    event = threading.Event()
    yield event
    event.set()


async def test_work_that_closing_takes_away_ends_in_a_sentence(held: threading.Event) -> None:
    threads = RequestThreads(1, "test")
    begun, waiting = threads.begin(held.wait, 30), threads.begin(held.wait, 30)
    threads.close()
    with pytest.raises(EngineUnavailable, match="shutting down"):
        await outcome_of(waiting)
    with pytest.raises(EngineUnavailable, match="shutting down"):
        threads.begin(held.wait, 30)
    held.set()
    assert await outcome_of(begun)


async def test_whoever_is_cancelled_while_he_waits_stays_cancelled(held: threading.Event) -> None:
    threads = RequestThreads(1, "test")
    threads.begin(held.wait, 30)
    waiting = asyncio.create_task(outcome_of(threads.begin(held.wait, 30)))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    threads.close()


@pytest.mark.parametrize("grammar", [None, JsonObject()])
async def test_each_request_that_waits_for_a_thread_has_its_end_when_the_engine_is_drained(
    tiny_qwen_dir: Path, monkeypatch: pytest.MonkeyPatch, held: threading.Event, grammar: JsonObject | None
) -> None:
    whole = RequestProcessor.process

    def slow(
        processor: RequestProcessor, request: GenerationRequest, events: EventQueue, arrived: float
    ) -> SequenceState:
        held.wait(30)
        return whole(processor, request, events, arrived)

    monkeypatch.setattr(RequestProcessor, "process", slow)
    engine = OpenEngine(load_talkative(tiny_qwen_dir)).engine
    requests = [ask(grammar=grammar, user=f"user {number}") for number in range(5)]
    answers = [asyncio.create_task(collect(engine, request)) for request in requests]
    await asyncio.sleep(0.5)
    await engine.drain(0.0)
    held.set()
    for answer in answers:
        end = check_shape(await answer)
        assert isinstance(end, Failed)
        assert isinstance(end.error, EngineUnavailable)
    with pytest.raises(EngineUnavailable):
        await engine.tokenize("Hello")
