"""Tools where the server has no field for them, refuses them, or leaves the calls in the text; answers not as asked."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from typing import Any

import pytest

from qwen_app.engine.remote.connection.chunk import read_chunk
from qwen_app.engine.remote.transcript import Transcript
from qwen_app.errors import AppError, RequestError, UpstreamError
from qwen_app.messages import (
    Delta,
    Event,
    Failed,
    Finished,
    GenerationRequest,
    GrammarSpec,
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
from tests.engine.remote.engines import answer, engine_on, engine_with_chat, refusal, says
from tests.engine.remote.fake_servers import LlamaCpp, Ollama, Vllm
from tests.engine.remote.upstream import Handler, Reply, Request
from tests.engine.remote.vllm_like import piece

PARAMETERS = {"type": "object", "properties": {"zone": {"type": "string"}}, "required": ["zone"]}
CLOCK, OTHER = Tool("clock", "Tells the time.", PARAMETERS), Tool("other")
CALL = '{"name": "clock", "arguments": {"zone": "UTC"}}'
NAMED = ToolChoice("named", "clock")
USAGE = ({"object": "chat.completion.chunk", "choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 4}},)


def calls_of(events: list[Event]) -> list[tuple[str, str]]:
    """Name and joined arguments of each call."""
    calls: dict[int, list[str]] = {}
    for event in events:
        if isinstance(event, ToolCallDelta):
            name_and_arguments = calls.setdefault(event.index, [event.name or "", ""])
            name_and_arguments[1] += event.arguments
    return [(name, arguments) for name, arguments in calls.values()]


def in_pieces(text: str) -> list[dict[str, Any]]:
    return [piece(text[at : at + 3]) for at in range(0, len(text), 3)]


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


@pytest.mark.slow
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


@pytest.mark.anyio
async def test_words_that_somebody_sent_take_no_tools_from_others() -> None:
    """Servers repeat what they refuse: here the schema of a tool."""

    async def chat(request: Request, reply: Reply) -> None:
        (tool, *_) = request.body.get("tools") or (None,)
        if tool and tool["function"]["name"] == "other":
            await reply.json({"error": {"message": f"Not a schema: {tool}", "code": 400}}, 400)
        else:
            await says(call_chunk('{"zone": "UTC"}'), piece("", finish="tool_calls"))(request, reply)

    async with engine_with_chat(chat) as (engine, upstream):
        await collect(engine, ask(tools=(Tool("other", "It does not support tools."),)))
        assert calls_of(await collect(engine, ask(tools=(CLOCK,)))) == [("clock", '{"zone": "UTC"}')]
        assert "tools" in upstream.requests_to("/v1/chat/completions")[-1].body


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
async def test_tools_that_a_template_would_drop_are_written_into_the_prompt_and_counted() -> None:
    """llama.cpp takes tools for a model whose template knows none, and the model never sees them."""
    server = LlamaCpp()
    server.drops_tools = True
    async with engine_on(server) as engine:
        (bare,) = await engine.count_tokens([[Message("user", "Time?")]])
        (counted,) = await engine.count_tokens([[Message("user", "Time?")]], (CLOCK,))
        await collect(engine, ask(tools=(CLOCK,), max_tokens=8))
    assert counted > bare
    assert "tools" not in server.seen
    assert "<tools>" in server.seen["messages"][0]["content"]


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


def call_chunk(arguments: str) -> dict[str, Any]:
    call = {"index": 0, "id": "a", "type": "function", "function": {"name": "clock", "arguments": arguments}}
    return piece("", delta={"tool_calls": [call]})


@pytest.mark.parametrize("choice", [ToolChoice(), NAMED], ids=["auto", "named"])
@pytest.mark.parametrize("said", ["", " ", "{}"])
@pytest.mark.anyio
async def test_a_call_without_arguments_has_an_empty_object(choice: ToolChoice, said: str) -> None:
    events = await answered(
        says(call_chunk(said), piece("", finish="tool_calls")), ask(tools=(CLOCK,), tool_choice=choice)
    )
    assert isinstance(check_shape(events), Finished)
    assert [(name, json.loads(arguments)) for name, arguments in calls_of(events)] == [("clock", {})]


def calls_chunk(*calls: tuple[int | None, str, str, str]) -> dict[str, Any]:
    """Index, id, name and arguments of each; what is None or empty is left out."""
    told: list[dict[str, Any]] = []
    for index, call_id, name, arguments in calls:
        function = {"name": name, "arguments": arguments} if name else {"arguments": arguments}
        told.append({"type": "function", "function": function, **({"id": call_id} if call_id else {})})
        if index is not None:
            told[-1]["index"] = index
    return piece("", delta={"tool_calls": told})


UTC, CET = '{"zone": "UTC"}', '{"zone": "CET"}'
SEVERAL: dict[str, tuple[list[dict[str, Any]], list[tuple[str, str]]]] = {
    "the first without arguments": (
        [calls_chunk((0, "a", "other", "")), calls_chunk((1, "b", "clock", UTC))],
        [("other", "{}"), ("clock", UTC)],
    ),
    "heads first, arguments in turns": (
        [
            calls_chunk((0, "a", "clock", ""), (1, "b", "clock", "")),
            calls_chunk((1, "", "", CET[:5]), (0, "", "", UTC[:4])),
            calls_chunk((0, "", "", UTC[4:]), (1, "", "", CET[5:])),
        ],
        [("clock", UTC), ("clock", CET)],
    ),
    "the same index": (
        [calls_chunk((0, "a", "clock", UTC)), calls_chunk((0, "b", "clock", CET))],
        [("clock", UTC), ("clock", CET)],
    ),
    "no index": (
        [calls_chunk((None, "a", "clock", UTC)), calls_chunk((None, "b", "clock", CET))],
        [("clock", UTC), ("clock", CET)],
    ),
    "id and name in every piece": (
        [calls_chunk((0, "a", "clock", UTC[:4])), calls_chunk((0, "a", "clock", UTC[4:]))],
        [("clock", UTC)],
    ),
    "indexes from one": (
        [calls_chunk((1, "a", "clock", UTC)), calls_chunk((2, "b", "other", ""))],
        [("clock", UTC), ("other", "{}")],
    ),
}


@pytest.mark.parametrize("way", SEVERAL)
@pytest.mark.anyio
async def test_calls_are_told_one_after_the_other_however_the_server_tells_them(way: str) -> None:
    chunks, expected = SEVERAL[way]
    events = await answered(says(*chunks, piece("", finish="tool_calls")), ask(tools=(CLOCK, OTHER)))
    assert isinstance(check_shape(events), Finished)
    assert calls_of(events) == expected
    indexes = [event.index for event in events if isinstance(event, ToolCallDelta)]
    assert indexes == sorted(indexes)
    assert set(indexes) == set(range(len(expected)))


@pytest.mark.anyio
async def test_tokens_of_calls_are_counted_where_the_server_counts_none() -> None:
    last = check_shape(await answered(says(call_chunk(UTC), piece("", finish="tool_calls")), ask(tools=(CLOCK,))))
    assert isinstance(last, Finished)
    assert last.usage.completion_tokens > 0


def test_half_a_character_is_no_end_of_the_answer() -> None:
    chunk = read_chunk(json.loads(json.dumps(piece("a\ud83d"))))
    assert [event.text for event in Transcript().feed(chunk) if isinstance(event, Delta)] == ["a\ufffd"]


@pytest.mark.parametrize("choice", [ToolChoice(), NAMED], ids=["auto", "named"])
@pytest.mark.parametrize("arguments", ['{"zone": 5}', "{}", ""])
@pytest.mark.anyio
async def test_a_call_of_a_strict_tool_that_breaks_its_schema_is_a_failure(choice: ToolChoice, arguments: str) -> None:
    for strict, outcome in ((True, Failed), (False, Finished)):
        tool = dataclasses.replace(CLOCK, strict=strict)
        chat = says(call_chunk(arguments), piece("", finish="tool_calls"))
        last = check_shape(await answered(chat, ask(tools=(tool,), tool_choice=choice)))
        assert isinstance(last, outcome)
    whole = says(call_chunk('{"zone": "UTC"}'), piece("", finish="tool_calls"))
    strict_clock = dataclasses.replace(CLOCK, strict=True)
    last = check_shape(await answered(whole, ask(tools=(strict_clock,), tool_choice=choice)))
    assert isinstance(last, Finished)


@pytest.mark.parametrize("size", range(16))
@pytest.mark.parametrize("by_field", [True, False], ids=["by_field", "in_the_text"])
@pytest.mark.anyio
async def test_a_call_that_the_limit_cut_is_whole_for_those_who_ask(by_field: bool, size: int) -> None:
    """With the shortest end that its schema allows, else as it was cut; wherever that was."""
    arguments = '{"zone": "UTC"}'[:size]
    in_text = in_pieces(f'<tool_call>\n{{"name": "clock", "arguments": {arguments}')
    chat = says(*([call_chunk(arguments)] if by_field else in_text), piece("", finish="length"))
    for close in (True, False):
        events = await answered(chat, ask(tools=(CLOCK,), close_cut_calls=close))
        ((name, said),) = calls_of(events)
        last = check_shape(events)
        assert isinstance(last, Finished)
        assert (name, last.reason) == ("clock", "length")
        assert said.startswith(arguments)
        assert (isinstance(json.loads(said)["zone"], str) and last.closed) if close and size < 15 else said == arguments


@pytest.mark.parametrize("size", [30, 45, 52])
@pytest.mark.parametrize("close", [True, False])
@pytest.mark.anyio
async def test_a_call_by_schema_that_the_limit_cut_is_a_cut_call(close: bool, size: int) -> None:
    server = Ollama()
    cut = f" {CALL}"[: size - 8]

    async def says_part(body: Any, reply: Reply) -> None:
        for event in [*in_pieces(cut), piece("", finish="length")]:
            await reply.event(event)

    server.answer = says_part  # type: ignore[method-assign]
    events = await answer(server, ask(tools=(CLOCK, OTHER), tool_choice=ToolChoice("required"), close_cut_calls=close))
    ((name, arguments),) = calls_of(events)
    last = check_shape(events)
    assert isinstance(last, Finished)
    assert (name, last.reason, text_of(events)) == ("clock", "length", "")
    if close:
        assert isinstance(json.loads(arguments)["zone"], str)
    else:
        assert arguments == cut.partition('"arguments": ')[2]


CITY = JsonSchema({"type": "object", "properties": {"city": {"type": "string"}, "n": {"type": "integer"}}})


@pytest.mark.parametrize("spec", [JsonObject(), SCHEMA, CITY], ids=["object", "schema", "typed"])
@pytest.mark.parametrize("size", [0, *range(1, 60, 3)])
@pytest.mark.anyio
async def test_a_cut_document_is_ended(spec: GrammarSpec, size: int) -> None:
    """From its text alone, wherever the server's limit cut it; blanks are the server's own."""
    document = '{ "city" : "Par\\u00eds\\n\\"",\n            "n" : -12, "more": [1, {"a": null}] }'
    if spec is CITY:
        document = document.replace(', "more": [1, {"a": null}]', "")
    cut = document[: min(size, len(document) - 1)]
    events = await answered(says(*in_pieces(cut), piece("", finish="length")), ask(grammar=spec))
    last = check_shape(events)
    assert isinstance(last, Finished)
    assert (last.reason, last.closed) == ("length", True)
    assert text_of(events).startswith(cut)
    assert isinstance(json.loads(text_of(events)), dict)


@pytest.mark.parametrize("text", ["Here you are: {", '{"city": 5', "```json"])
@pytest.mark.anyio
async def test_what_begins_no_document_is_only_cut(text: str) -> None:
    events = await answered(says(*in_pieces(text), piece("", finish="length")), ask(grammar=CITY))
    last = check_shape(events)
    assert isinstance(last, Finished)
    assert (last.reason, last.closed, text_of(events)) == ("length", False, text)


@pytest.mark.parametrize("finish", ["stop", "length"])
@pytest.mark.parametrize("choice", [NAMED, ToolChoice("required")], ids=["named", "required"])
@pytest.mark.anyio
async def test_a_call_that_the_server_does_not_make_is_had_by_a_schema(choice: ToolChoice, finish: str) -> None:
    async def chat(request: Request, reply: Reply) -> None:
        said = CALL if "response_format" in request.body else "It is noon."
        ended = "stop" if said == CALL else finish
        await says(*in_pieces(said), piece("", finish=ended), *USAGE)(request, reply)

    async with engine_with_chat(chat) as (engine, upstream):
        request = ask(tools=(CLOCK,), tool_choice=choice)
        events, again = await collect(engine, request), await collect(engine, request)
        bodies = [one.body for one in upstream.requests_to("/v1/chat/completions")]
    for one in (events, again):
        assert calls_of(one) == [("clock", '{"zone": "UTC"}')]
        assert text_of(one) == ""
    last, later = check_shape(events), check_shape(again)
    assert isinstance(last, Finished)
    assert isinstance(later, Finished)
    assert last.usage.completion_tokens == 2 * later.usage.completion_tokens  # both tries count
    assert ["tools" in body for body in bodies] == [True, False, False]  # and what was learnt is kept


@pytest.mark.parametrize("finish", ["length", "content_filter"])
@pytest.mark.anyio
async def test_what_one_request_has_no_call_for_is_not_learnt_of_the_server(finish: str) -> None:
    async def chat(request: Request, reply: Reply) -> None:
        if request.body.get("max_tokens") == 1:
            await says(piece("{"), piece("", finish=finish))(request, reply)
        else:
            await says(call_chunk('{"zone": "UTC"}'), piece("", finish="tool_calls"))(request, reply)

    async with engine_with_chat(chat) as (engine, upstream):
        request = ask(tools=(CLOCK,), tool_choice=NAMED)
        short = ask(max_tokens=1, tools=(CLOCK,), tool_choice=NAMED)
        assert isinstance(check_shape(await collect(engine, short)), Failed)
        assert calls_of(await collect(engine, request)) == [("clock", '{"zone": "UTC"}')]
        assert "tools" in upstream.requests_to("/v1/chat/completions")[-1].body


@pytest.mark.parametrize(("finish", "error"), [("stop", UpstreamError), ("length", RequestError)])
@pytest.mark.anyio
async def test_a_call_that_cannot_be_had_at_all_is_a_failure(finish: str, error: type[AppError]) -> None:
    """Where a limit cut it, it is the caller who can mend that."""
    request = ask(tools=(CLOCK,), tool_choice=NAMED)
    events = await answered(says(*in_pieces("It is noon."), piece("", finish=finish)), request)
    last = check_shape(events)
    assert isinstance(last, Failed)
    assert isinstance(last.error, error)
    assert text_of(events) == ""


@pytest.mark.anyio
async def test_a_call_that_had_begun_when_the_server_died_is_told_once() -> None:
    """Until its arguments begin nothing of it is told, so that the request is sent anew."""
    lives = iter(("a", "b"))

    async def chat(request: Request, reply: Reply) -> None:
        life = next(lives)
        head = piece("")
        head["choices"][0]["delta"]["tool_calls"] = [{"index": 0, "id": life, "function": {"name": "clock"}}]
        rest = piece("")
        rest["choices"][0]["delta"]["tool_calls"] = [{"index": 0, "function": {"arguments": '{"zone": "UTC"}'}}]
        told = (head,) if life == "a" else (head, rest, piece("", finish="tool_calls"))
        await says(*told, before_end="reset" if life == "a" else "end")(request, reply)

    events = await answered(chat, ask(tools=(CLOCK,)))
    assert calls_of(events) == [("clock", '{"zone": "UTC"}')]
    assert [event.id for event in events if isinstance(event, ToolCallDelta) and event.id] == ["b"]


@pytest.mark.parametrize("field", ["stop_reason", "matched_stop"])
@pytest.mark.anyio
async def test_the_stop_string_is_known_where_the_server_tells(field: str) -> None:
    end = piece("", finish="stop")
    end["choices"][0][field] = "END"
    last = check_shape(await answered(says(piece("Hi"), end), ask()))
    assert isinstance(last, Finished)
    assert last.stop == "END"
