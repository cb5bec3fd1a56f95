"""The promise with a real model: JSON mode and tool calls on the built-in one, however small the budget."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from qwen_app.engine.local.build import build_local_engine
from qwen_app.engine.local.engine import LocalEngine
from qwen_app.messages import (
    Delta,
    Event,
    Failed,
    Finished,
    GenerationRequest,
    JsonSchema,
    Message,
    SamplingParams,
    Tool,
    ToolCallDelta,
    ToolChoice,
)
from qwen_app.models.loading.loader import load
from qwen_app.structured.grammars.compiler import GrammarCompiler
from qwen_app.structured.validation import validate_text

PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 24},
        "age": {"type": "integer", "minimum": 0, "maximum": 120},
        "languages": {"type": "array", "items": {"enum": ["en", "zh", "fr", "es"]}, "maxItems": 3},
        "email": {"type": ["string", "null"], "format": "email"},
    },
    "required": ["name", "age", "languages"],
    "additionalProperties": False,
}
WHO = ("a farmer", "a pilot", "my aunt", "a poet in Paris", "someone from 上海")
PROMPTS = 40


@pytest.fixture(scope="module")
async def engine(builtin_dir: Path) -> AsyncGenerator[LocalEngine, None]:
    engine = build_local_engine(load(builtin_dir, precision="fp32"), slots=8, context_tokens=512, queue_limit=PROMPTS)
    yield engine
    await engine.drain(5.0)


async def answer(engine: LocalEngine, request: GenerationRequest) -> list[Event]:
    events = [event async for event in engine.generate(request)]
    assert not isinstance(events[-1], Failed), events[-1]
    return events


def text_of(events: list[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, Delta))


@pytest.mark.slow
@pytest.mark.anyio
async def test_forty_answers_validate_whatever_the_budget(engine: LocalEngine, builtin: GrammarCompiler) -> None:
    spec = JsonSchema(PERSON)
    least = builtin.compile(spec).minimum_tokens
    requests = [
        GenerationRequest(
            f"person-{number}",
            (Message("user", f"Invent {WHO[number % len(WHO)]} as JSON."),),
            sampling=SamplingParams(temperature=1.0, seed=number, max_tokens=least + number % 25),
            grammar=spec,
            user=f"user-{number % 5}",
        )
        for number in range(PROMPTS)
    ]
    for events in await asyncio.gather(*(answer(engine, request) for request in requests)):
        assert validate_text(text_of(events), PERSON) is None
        end = events[-1]
        assert isinstance(end, Finished)
        assert end.reason == ("length" if end.closed else "stop")


@pytest.mark.slow
@pytest.mark.anyio
async def test_a_budget_below_the_least_is_refused_with_the_number(
    engine: LocalEngine, builtin: GrammarCompiler
) -> None:
    spec = JsonSchema(PERSON)
    least = builtin.compile(spec).minimum_tokens
    sampling = SamplingParams(max_tokens=least - 1)
    request = GenerationRequest("small", (Message("user", "?"),), sampling=sampling, grammar=spec)
    events = [event async for event in engine.generate(request)]
    assert len(events) == 1
    assert isinstance(events[0], Failed)
    assert events[0].error.http_status == 400
    assert str(least) in events[0].error.message


@pytest.mark.slow
@pytest.mark.anyio
async def test_a_required_call_streams_as_a_call(engine: LocalEngine) -> None:
    parameters = {"type": "object", "properties": {"city": {"type": "string", "maxLength": 20}}, "required": ["city"]}
    request = GenerationRequest(
        "call",
        (Message("user", "What is the weather in Paris?"),),
        sampling=SamplingParams(temperature=0.0, max_tokens=80),
        tools=(Tool("get_weather", "Weather of a city", parameters),),
        tool_choice=ToolChoice("required", parallel=False),
    )
    events = await answer(engine, request)
    deltas = [event for event in events if isinstance(event, ToolCallDelta)]
    assert [delta.name for delta in deltas if delta.name] == ["get_weather"]
    assert validate_text("".join(delta.arguments for delta in deltas), parameters) is None
    assert text_of(events) == ""
    assert events[-1].reason == "tool_calls" if isinstance(events[-1], Finished) else False
