"""A real server under the contract, and what an answer's form owes it. ``scripts/check-remote`` starts servers for it.

The servers run the built-in model, whose answers are short and silly: what is checked is that they are what was asked
for, or an error that says so.
"""

from __future__ import annotations

import json
import os
from collections.abc import AsyncGenerator

import pytest

from qwen_app.engine.remote import RemoteEngine
from qwen_app.errors import RequestError, UpstreamError
from qwen_app.messages import (
    Event,
    Failed,
    Finished,
    GenerationRequest,
    JsonObject,
    JsonSchema,
    Message,
    StringChoice,
    TemplateOptions,
    Tool,
    ToolCallDelta,
    ToolChoice,
)
from tests.engine.contract import EngineContract, Make, ask, check_shape, collect, text_of

URL, MODEL = os.environ.get("REMOTE_SERVER_URL", ""), os.environ.get("REMOTE_SERVER_MODEL", "")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.anyio,
    pytest.mark.skipif(not URL, reason="no server: scripts/check-remote starts them"),
]
CITY = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "degrees": {"type": "integer"}},
    "required": ["city", "degrees"],
    "additionalProperties": False,
}
WEATHER, CLOCK = Tool("get_weather", "The weather in a city.", CITY), Tool("clock", "The time.")
NAMED, REQUIRED = ToolChoice("named", "get_weather"), ToolChoice("required")


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """What hangs is told from a server that takes its time on a CPU."""
    monkeypatch.setattr("tests.engine.contract.PATIENCE_S", 300.0)


@pytest.fixture
async def make() -> AsyncGenerator[Make, None]:
    engines: list[RemoteEngine] = []

    def build(*, slots: int = 2, queue_limit: int = 8, context_tokens: int = 1024) -> RemoteEngine:
        limits = {"slots": slots, "queue_limit": queue_limit, "context_tokens": context_tokens}
        engines.append(RemoteEngine(base_url=URL, model=MODEL, **limits))
        return engines[-1]

    yield build
    for engine in engines:
        await engine.drain(0.0)


class TestContract(EngineContract):
    """The suite that every engine passes."""


async def answered(make: Make, request: GenerationRequest) -> list[Event]:
    """The events of an answer, of one that is not refused by a sentence: a server need not do everything."""
    events = await collect(make(), request)
    last = check_shape(events)
    if isinstance(last, Failed) and isinstance(last.error, RequestError):
        pytest.skip(f"refused: {last.error.message}")
    if isinstance(last, Failed) and isinstance(last.error, UpstreamError):
        pytest.skip(f"an error that says so: {last.error.message}")
    assert isinstance(last, Finished)
    return events


@pytest.mark.parametrize("max_tokens", [3, 8, 200])
async def test_a_json_object(make: Make, max_tokens: int) -> None:
    events = await answered(make, ask("Berlin as JSON.", max_tokens=max_tokens, grammar=JsonObject()))
    assert isinstance(json.loads(text_of(events)), dict)


@pytest.mark.parametrize("max_tokens", [3, 8, 200])
async def test_a_json_schema(make: Make, max_tokens: int) -> None:
    events = await answered(make, ask("Berlin as JSON.", max_tokens=max_tokens, grammar=JsonSchema(CITY)))
    assert set(json.loads(text_of(events))) == {"city", "degrees"}


async def test_one_of_several_texts(make: Make) -> None:
    events = await answered(make, ask("Is Berlin a city?", grammar=StringChoice(("yes", "no"))))
    assert text_of(events) in ("yes", "no")


@pytest.mark.parametrize("max_tokens", [6, 150])
@pytest.mark.parametrize("choice", [NAMED, REQUIRED], ids=["named", "required"])
async def test_a_forced_call_is_made(make: Make, choice: ToolChoice, max_tokens: int) -> None:
    request = ask("Say hello.", max_tokens=max_tokens, tools=(WEATHER, CLOCK), tool_choice=choice)
    events = await answered(make, request)
    names = [event.name for event in events if isinstance(event, ToolCallDelta) and event.name]
    assert names
    assert choice is REQUIRED or set(names) == {"get_weather"}
    assert text_of(events) == ""


async def test_a_call_that_the_limit_cut_is_whole_for_those_who_ask(make: Make) -> None:
    request = ask("Berlin?", max_tokens=24, tools=(WEATHER,), tool_choice=NAMED, close_cut_calls=True)
    events = await answered(make, request)
    arguments = "".join(event.arguments for event in events if isinstance(event, ToolCallDelta))
    assert isinstance(json.loads(arguments), dict)


async def test_an_answer_goes_on_with_its_beginning(make: Make) -> None:
    begun = (Message("user", "Count to five."), Message("assistant", "One, two,"))
    request = ask(messages=begun, max_tokens=8, template=TemplateOptions(continue_final=True))
    assert not text_of(await answered(make, request)).startswith("One")


async def test_tools_may_be_left_alone(make: Make) -> None:
    await answered(make, ask("Say hello.", tools=(WEATHER, CLOCK), max_tokens=40))
