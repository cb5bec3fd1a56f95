"""Schemas a grammar cannot enforce: the finished answer is checked, asked for once more, and refused after that."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence

import pytest

from qwen_app.errors import SchemaError, SchemaNotMet
from qwen_app.messages import Delta, Event, Failed, Finished, GenerationRequest, JsonSchema, Message, Planned, Queued
from qwen_app.service import Service
from qwen_app.testing.scripted_engine import Script, ScriptedEngine

pytestmark = pytest.mark.anyio

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer", "not": {"const": 3}}}, "required": ["n"]}


def asked(*, strict: bool = False) -> GenerationRequest:
    grammar = JsonSchema(SCHEMA, strict=strict)
    return GenerationRequest("r1", (Message("user", "A number?"),), grammar=grammar)


class Picky(ScriptedEngine):
    """Says one of ``answers`` after the other, and cannot enforce the schema strictly."""

    def __init__(self, *answers: str, enforces: bool = False, reason: str = "stop") -> None:
        left = list(answers)
        super().__init__(lambda request: Script(tuple(left.pop(0)), reason=reason))  # type: ignore[arg-type]
        self.enforces = enforces

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[Event, None]:
        if request.grammar and request.grammar.strict and not self.enforces:
            yield Failed(SchemaError("The schema keyword not cannot be enforced."))
            return
        async for event in ScriptedEngine.generate(self, request):
            yield event


async def events_of(engine: ScriptedEngine, request: GenerationRequest) -> list[Event]:
    return [event async for event in Service(engine).generate(request)]


def text_of(events: Sequence[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, Delta))


async def test_an_answer_that_matches_passes() -> None:
    engine = Picky('{"n": 4}')
    events = await events_of(engine, asked())
    assert [type(event) for event in events[:2]] == [Planned, Queued]
    assert text_of(events) == '{"n": 4}'
    assert isinstance(events[-1], Finished)
    assert len(engine.requests) == 1


async def test_an_answer_that_does_not_match_is_asked_for_once_more() -> None:
    engine = Picky('{"n": 3}', '{"n": 5}')
    events = await events_of(engine, asked())
    assert text_of(events) == '{"n": 5}'
    assert [type(event) for event in events].count(Queued) == 1
    again = engine.requests[1].messages
    assert again[-2] == Message("assistant", '{"n": 3}')
    assert "$.n" in again[-1].content
    end = events[-1]
    assert isinstance(end, Finished)
    assert end.usage.completion_tokens == 16
    assert end.timings.total_s >= end.timings.first_token_s


async def test_two_answers_that_do_not_match_are_an_error_and_show_no_text() -> None:
    events = await events_of(Picky('{"n": 3}', '{"n": "x"}'), asked())
    assert text_of(events) == ""
    assert isinstance(events[-1], Failed)
    assert isinstance(events[-1].error, SchemaNotMet)
    assert "does not match" in str(events[-1].error)


async def test_a_cut_answer_passes_with_its_reason() -> None:
    events = await events_of(Picky('{"n": 3', reason="length"), asked())
    assert text_of(events) == '{"n": 3'
    assert isinstance(events[-1], Finished)
    assert events[-1].reason == "length"


async def test_a_schema_that_can_be_enforced_streams_at_once() -> None:
    engine = Picky('{"n": 3}', enforces=True)
    events = await events_of(engine, asked())
    assert len(engine.requests) == 1
    assert [type(event) for event in events].count(Delta) == len('{"n": 3}')


async def test_strict_keeps_the_refusal() -> None:
    events = await events_of(Picky(), asked(strict=True))
    assert isinstance(events[1], Failed)
    assert isinstance(events[1].error, SchemaError)
