"""The owner's text in place of an answer that failed: when it is said, when not, and that failures stay known."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest

from qwen_app.errors import AppError, EngineError, EngineUnavailable, OutOfDeviceMemory, RequestError
from qwen_app.fallback_answer import with_fallback
from qwen_app.messages import (
    Delta,
    Event,
    Failed,
    Finished,
    GenerationRequest,
    JsonObject,
    Message,
    Tool,
    ToolCallDelta,
    ToolChoice,
)
from qwen_app.service import Service
from qwen_app.testing.scripted_engine import Script, ScriptedEngine
from tests.api.serving import running_api

TEXT = "We are sorry: call 555."
QUESTION = (Message("user", "Hi"),)
PLAIN = GenerationRequest("abc", QUESTION)


class Seen:
    """An observer that keeps what it sees."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def __call__(self, request: GenerationRequest) -> Seen:
        return self

    def see(self, event: Event) -> None:
        self.events.append(event)

    def end(self) -> None:
        pass


def answer(script: Script, request: GenerationRequest = PLAIN) -> tuple[str, Event, list[Event]]:
    """Text and last event of an answer with a fallback, and what an observer saw."""
    service, seen = Service(ScriptedEngine(script), fallback=TEXT), Seen()
    service.observe(seen)

    async def read() -> list[Event]:
        return [event async for event in service.generate(request)]

    events = asyncio.run(read())
    return "".join(event.text for event in events if isinstance(event, Delta)), events[-1], seen.events


@pytest.mark.parametrize("error", [EngineError("Broke."), OutOfDeviceMemory("Full."), EngineUnavailable("Away.")])
def test_it_is_said_where_the_model_fails_before_the_first_word(error: AppError) -> None:
    text, end, seen = answer(Script(error=error))
    assert text == TEXT
    assert isinstance(end, Finished)
    assert end.usage.completion_tokens == 0
    assert seen[-1] == Failed(error)


@pytest.mark.parametrize(
    ("script", "request_made"),
    [
        (Script(error=EngineError("Broke."), error_at=2), PLAIN),
        (Script(error=RequestError("Your mistake.")), PLAIN),
        (Script(error=EngineError("Broke.")), GenerationRequest("abc", QUESTION, grammar=JsonObject())),
        (
            Script(error=EngineError("Broke.")),
            GenerationRequest("abc", QUESTION, tools=(Tool("call"),), tool_choice=ToolChoice("required")),
        ),
    ],
    ids=["begun", "mistake", "grammar", "call"],
)
def test_it_is_not_said_where_it_would_be_wrong(script: Script, request_made: GenerationRequest) -> None:
    text, end, _ = answer(script, request_made)
    assert TEXT not in text
    assert isinstance(end, Failed)


def test_it_is_not_said_behind_half_a_call() -> None:
    async def events() -> AsyncGenerator[Event, None]:
        yield ToolCallDelta(0, "a", "send_mail", '{"to": "bob')
        yield Failed(EngineUnavailable("Away."))

    async def read() -> list[Event]:
        return [event async for event in with_fallback(events(), PLAIN, TEXT, lambda event: None)]

    *_, end = asyncio.run(read())
    assert isinstance(end, Failed)


def test_an_answer_that_succeeds_is_left_alone() -> None:
    text, end, _ = answer(Script())
    assert text == "Hello, world."
    assert isinstance(end, Finished)


@pytest.mark.parametrize("stream", [False, True])
def test_the_api_answers_with_it(stream: bool) -> None:
    with running_api(ScriptedEngine(Script(error=EngineError("Broke."))), fallback_answer=TEXT) as api:
        response = api.chat(stream=stream)
    assert response.status_code == 200
    assert TEXT in response.text
