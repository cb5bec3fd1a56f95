"""Calls of tools that are not strict are checked once they are whole."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest

from qwen_app.messages import (
    Event,
    Finished,
    FinishReason,
    GenerationRequest,
    Timings,
    Tool,
    ToolCallDelta,
    ToolChoice,
    Usage,
)
from qwen_app.structured.call_check import may_need_check, with_checked_calls
from qwen_app.structured.schema_check import Schema
from qwen_app.structured.validation import validate_text

UNIQUE: Schema = {"type": "object", "properties": {"a": {"type": "array", "uniqueItems": True}}}
TOOLS = (
    Tool("f", "", UNIQUE),
    Tool("strict", "", UNIQUE, strict=True),
    Tool("plain"),
    Tool("odd", "", {"type": "any"}),
)


def request(*tools: Tool, choice: ToolChoice = ToolChoice()) -> GenerationRequest:  # noqa: B008 (frozen)
    return GenerationRequest("r", tools=tools, tool_choice=choice)


async def calling(*calls: tuple[str, str], reason: FinishReason) -> AsyncGenerator[Event, None]:
    for index, (name, arguments) in enumerate(calls):
        yield ToolCallDelta(index, f"c{index}", name)
        yield ToolCallDelta(index, arguments=arguments[:5])
        yield ToolCallDelta(index, arguments=arguments[5:])
    yield Finished(reason, Usage(1, 1), Timings(0, 0, 0))


async def validate(text: str, schema: Schema) -> str | None:
    return validate_text(text, schema)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("name", "arguments", "reason", "off"),
    [
        ("f", '{"a": [1, 2]}', "tool_calls", 0),
        ("f", '{"a": [1, 1]}', "tool_calls", 1),
        ("f", '{"a": [1, 1]}', "stop", 1),
        ("f", '{"a": [1, 1]', "length", 0),
        ("strict", '{"a": [1, 1]}', "tool_calls", 0),
        ("odd", "{}", "tool_calls", 0),
    ],
)
async def test_what_no_grammar_enforced_is_told(name: str, arguments: str, reason: FinishReason, off: int) -> None:
    calls = (("plain", "{}"), (name, arguments))
    events = [event async for event in with_checked_calls(calling(*calls, reason=reason), request(*TOOLS), validate)]
    assert events[:-1] == [event async for event in calling(*calls, reason=reason)][:-1]
    assert isinstance(events[-1], Finished)
    assert events[-1].calls_off_schema == off


def test_who_has_nothing_to_check_is_left_alone() -> None:
    assert may_need_check(request(*TOOLS))
    assert not may_need_check(request(*TOOLS[1:3]))
    assert not may_need_check(request(*TOOLS, choice=ToolChoice("none")))
