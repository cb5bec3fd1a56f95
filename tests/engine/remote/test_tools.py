"""Tools where the server has no field for them, refuses them, or leaves the calls in the text; answers not as asked."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

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
    Tool,
    ToolCall,
    ToolCallDelta,
    ToolChoice,
)
from tests.engine.contract import ask, check_shape, collect, text_of
from tests.engine.remote.engines import answer, engine_with_chat, refusal, says
from tests.engine.remote.fake_servers import Ollama, Vllm
from tests.engine.remote.upstream import Handler, Reply, Request
from tests.engine.remote.vllm_like import piece

PARAMETERS = {"type": "object", "properties": {"zone": {"type": "string"}}, "required": ["zone"]}
CLOCK, OTHER = Tool("clock", "Tells the time.", PARAMETERS), Tool("other")
CALL = '{"name": "clock", "arguments": {"zone": "UTC"}}'
NAMED = ToolChoice("named", "clock")


def calls_of(events: list[Event]) -> list[tuple[str, str]]:
    """Name and joined arguments of each call."""
    calls: dict[int, list[str]] = {}
    for event in events:
        if isinstance(event, ToolCallDelta):
            name_and_arguments = calls.setdefault(event.index, [event.name or "", ""])
            name_and_arguments[1] += event.arguments
    return [(name, arguments) for name, arguments in calls.values()]


def in_pieces(text: str, size: int = 3) -> list[dict[str, Any]]:
    return [piece(text[at : at + size]) for at in range(0, len(text), size)]


async def answered(chat: Handler, request: GenerationRequest) -> list[Event]:
    async with engine_with_chat(chat) as (engine, _):
        return await collect(engine, request)


@pytest.mark.parametrize("text", [f"Wait. <tool_call>\n{CALL}\n</tool_call>", CALL], ids=["tagged", "bare"])
@pytest.mark.anyio
async def test_calls_left_in_the_text_are_found(text: str) -> None:
    events = await answered(says(*in_pieces(text), piece("", finish="stop")), ask(tools=(CLOCK,)))
    last = check_shape(events)
    assert isinstance(last, Finished)
    assert last.reason == "tool_calls"
    ((name, arguments),) = calls_of(events)
    assert (name, json.loads(arguments)) == ("clock", {"zone": "UTC"})
    assert "<tool_call>" not in text_of(events)


@pytest.mark.anyio
async def test_text_that_is_no_call_stays_whole() -> None:
    text = 'As JSON: {"name": "clock"} <tool_'
    events = await answered(says(*in_pieces(text), piece("", finish="stop")), ask(tools=(CLOCK,)))
    assert text_of(events) == text
    assert isinstance(check_shape(events), Finished)


@pytest.mark.anyio
async def test_held_text_is_not_lost_at_the_deadline() -> None:
    request = ask(tools=(CLOCK,), timeout_s=2.0)
    events = await answered(says(piece('{"name": "clo'), before_end="hang"), request)
    assert text_of(events) == '{"name": "clo'


@pytest.mark.parametrize(
    "sentence", ["tiny does not support tools", '"auto" tool choice requires --enable-auto-tool-choice']
)
@pytest.mark.anyio
async def test_refused_tools_are_written_into_the_prompt(sentence: str) -> None:
    async def chat(request: Request, reply: Reply) -> None:
        if "tools" in request.body:
            await reply.json({"error": {"message": sentence, "type": "x", "param": None, "code": 400}}, 400)
        else:
            await says(*in_pieces(f"<tool_call>\n{CALL}\n</tool_call>"), piece("", finish="stop"))(request, reply)

    async with engine_with_chat(chat) as (engine, upstream):
        both = await asyncio.gather(*(collect(engine, ask(tools=(CLOCK,))) for _ in range(2)))
        assert [calls_of(events) for events in both] == [[("clock", '{"zone": "UTC"}')]] * 2
        await collect(engine, ask(tools=(CLOCK,)))
        bodies = [request.body for request in upstream.requests_to("/v1/chat/completions")]
    assert "tools" in bodies[0]
    assert ["tools" in body for body in bodies[-2:]] == [False, False]
    assert "<tools>" in bodies[-1]["messages"][0]["content"]


@pytest.mark.parametrize("choice", [NAMED, ToolChoice("required")], ids=["named", "required"])
@pytest.mark.anyio
async def test_ollama_is_made_to_call_by_a_schema(choice: ToolChoice) -> None:
    server = Ollama()

    async def says_call(body: Any, reply: Reply) -> None:
        for event in [*in_pieces(CALL), piece("", finish="stop")]:
            await reply.event(event)

    server.answer = says_call  # type: ignore[method-assign]
    events = await answer(server, ask(tools=(CLOCK, OTHER), tool_choice=choice))
    assert calls_of(events) == [("clock", '{"zone": "UTC"}')]
    assert "tools" not in server.seen
    schema = server.seen["response_format"]["json_schema"]["schema"]
    names = [branch["properties"]["name"]["enum"][0] for branch in schema.get("anyOf", [schema])]
    assert names == (["clock"] if choice is NAMED else ["clock", "other"])


@pytest.mark.anyio
async def test_vllm_is_told_to_be_strict() -> None:
    server = Vllm()
    await answer(server, ask(tools=(CLOCK,)))
    assert server.seen["tools"][0]["function"]["strict"] is True


@pytest.mark.anyio
async def test_results_go_back_in_the_order_of_the_calls() -> None:
    calls = (ToolCall("a", "clock", '{"zone": "UTC"}'), ToolCall("b", "clock", '{"zone": "CET"}'))
    history = (
        Message("user", "Times?"),
        Message("assistant", "", tool_calls=calls),
        Message("tool", "13:00", tool_call_id="b"),
        Message("tool", "12:00", tool_call_id="a"),
    )
    server = Vllm()
    await answer(server, ask(messages=history, tools=(CLOCK,)))
    assert [message["role"] for message in server.seen["messages"]] == ["user", "assistant", "tool", "tool"]
    assert [message["tool_call_id"] for message in server.seen["messages"][2:]] == ["a", "b"]
    assert server.seen["messages"][1]["content"] is None
    error = await refusal(Vllm(), ask(messages=history[:1] + history[2:3], tools=(CLOCK,)))
    assert isinstance(error, RequestError)


@pytest.mark.parametrize(
    "request_",
    [
        ask(tools=(CLOCK,), tool_choice=ToolChoice("named", "nobody")),
        ask(tool_choice=ToolChoice("required")),
        ask(tools=(CLOCK,), tool_choice=NAMED, grammar=JsonObject()),
    ],
    ids=["unknown", "no-tools", "with-format"],
)
@pytest.mark.anyio
async def test_choices_that_nobody_can_honour(request_: GenerationRequest) -> None:
    server = Vllm()
    assert isinstance(await refusal(server, request_), RequestError)
    assert server.seen == {}


SCHEMA = JsonSchema({"type": "object", "required": ["city"]})


@pytest.mark.parametrize(
    ("request_", "text"),
    [
        (ask(grammar=JsonObject()), "Here you are: {}"),
        (ask(grammar=SCHEMA), '{"town": "Paris"}'),
        (ask(grammar=StringChoice(("yes", "no"))), "maybe"),
        (ask(tools=(CLOCK,), tool_choice=NAMED), "It is noon."),
        (ask(tools=(CLOCK, OTHER), tool_choice=NAMED), '{"name": "other", "arguments": {}}'),
    ],
    ids=["no-json", "wrong-json", "no-choice", "no-call", "other-call"],
)
@pytest.mark.anyio
async def test_an_answer_of_another_form_is_a_failure(request_: GenerationRequest, text: str) -> None:
    last = check_shape(await answered(says(*in_pieces(text), piece("", finish="stop")), request_))
    assert isinstance(last, Failed)
    assert isinstance(last.error, UpstreamError)
    assert last.partial_text == text


@pytest.mark.anyio
async def test_a_cut_answer_is_only_cut() -> None:
    last = check_shape(await answered(says(piece('{"city":'), piece("", finish="length")), ask(grammar=SCHEMA)))
    assert isinstance(last, Finished)
    assert last.reason == "length"
