"""``POST /v1/messages``: what its bodies ask for and what its answers say, whole and streamed."""

from __future__ import annotations

from typing import Any

import pytest

from qwen_app.errors import EngineError, EngineUnavailable, TooManyRequests
from qwen_app.messages import Delta, JsonSchema, ToolCallDelta
from qwen_app.testing.scripted_engine import Script, ScriptedEngine
from tests.api.anthropic.claude_sdk import MESSAGES, WEATHER, ask, named_events
from tests.api.scripts import LoggedEngine
from tests.api.serving import Api, running_api

CALL: Any = {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {"city": "Berlin"}}
RESULT: Any = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "Rain."}
CACHED: Any = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}
PIXEL: Any = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}


USER: Any = [{"role": "user", "content": "Count to five."}]
BEGUN: Any = [*USER, {"role": "assistant", "content": [{"type": "text", "text": "One, two,"}]}]


def round_of(*blocks: Any) -> list[Any]:
    """A conversation in which a call was made and ``blocks`` answer it."""
    return [
        {"role": "user", "content": "Weather in Berlin?"},
        {"role": "assistant", "content": [{"type": "text", "text": "I look."}, CALL]},
        {"role": "user", "content": list(blocks)},
    ]


def asked_of(api: Api, **fields: Any) -> Any:
    """The request that the engine got for a body."""
    assert api.post(MESSAGES, ask(**fields)).status_code == 200
    engine: Any = api.service._engine
    return engine.requests[-1]


def test_a_whole_answer(scripted_api: Api) -> None:
    response = scripted_api.post(f"{MESSAGES}?beta=true", ask())
    message = response.json()
    assert message["content"] == [{"type": "text", "text": "Hello, world."}]
    assert (message["stop_reason"], message["stop_sequence"], message["model"]) == ("end_turn", None, "scripted")
    assert (message["usage"]["input_tokens"], message["usage"]["output_tokens"]) == (5, 4)
    assert response.headers["request-id"] == response.headers["x-request-id"]


def test_a_streamed_answer(scripted_api: Api) -> None:
    events = named_events(scripted_api.post(MESSAGES, ask(stream=True)))
    assert [name for name, _ in events] == [
        "message_start",
        "ping",
        "content_block_start",
        *["content_block_delta"] * 4,
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    assert events[0][1]["message"]["usage"]["input_tokens"] == 5
    assert events[-2][1]["delta"] == {"stop_reason": "end_turn", "stop_sequence": None}
    assert events[-2][1]["usage"]["output_tokens"] == 4


def test_text_and_calls_are_blocks_of_their_own() -> None:
    calls = [
        ToolCallDelta(0, "call_a", "get_weather"),
        ToolCallDelta(0, arguments='{"city": '),
        ToolCallDelta(0, arguments='"Berlin"}'),
        ToolCallDelta(1, "call_b", "get_time", "{}"),
    ]
    with running_api(LoggedEngine([Delta("I look."), *calls], "tool_calls")) as api:
        whole = api.post(MESSAGES, ask(tools=[WEATHER])).json()
        events = [data for _, data in named_events(api.post(MESSAGES, ask(tools=[WEATHER], stream=True)))]
    assert whole["stop_reason"] == "tool_use"
    assert whole["content"] == [
        {"type": "text", "text": "I look."},
        {"type": "tool_use", "id": "call_a", "name": "get_weather", "input": {"city": "Berlin"}},
        {"type": "tool_use", "id": "call_b", "name": "get_time", "input": {}},
    ]
    started = [data["content_block"] for data in events if data["type"] == "content_block_start"]
    assert [block["type"] for block in started] == ["text", "tool_use", "tool_use"]
    assert [data["index"] for data in events if data["type"] == "content_block_stop"] == [0, 1, 2]
    pieces = [data["delta"]["partial_json"] for data in events if data.get("delta", {}).get("partial_json")]
    assert pieces == ['{"city": ', '"Berlin"}', "{}"]


def test_blocks_of_a_whole_answer_stand_in_the_order_in_which_they_were_written() -> None:
    """As the stream has them: a whole one had all of its text before the first call."""
    first, second = ToolCallDelta(0, "call_a", "get_weather", "{}"), ToolCallDelta(1, "call_b", "get_time", "{}")
    written = [Delta("I look. "), Delta("Now."), first, Delta("And the time."), second, Delta("Done.")]
    with running_api(LoggedEngine(written, "tool_calls")) as api:
        content = api.post(MESSAGES, ask(tools=[WEATHER])).json()["content"]
    assert [block.get("text") or block["name"] for block in content] == [
        "I look. Now.",
        "get_weather",
        "And the time.",
        "get_time",
        "Done.",
    ]


@pytest.mark.parametrize(
    ("arguments", "reasons"),
    [(['{"city": 1,'], ("end_turn", ["text"])), (['{"city": 1,', "{}"], ("tool_use", ["text", "tool_use"]))],
)
def test_a_tool_is_to_be_run_only_where_a_call_can_be_made(arguments: list[str], reasons: object) -> None:
    """Agents that read tool_use and find no call ask on with a message of nothing, which is refused everywhere. Of a
    call that cannot be made its words are there."""
    calls = [ToolCallDelta(index, f"call_{index}", "get_weather", text) for index, text in enumerate(arguments)]
    with running_api(LoggedEngine(calls, "tool_calls")) as api:
        message = api.post(MESSAGES, ask(tools=[WEATHER])).json()
    assert (message["stop_reason"], [block["type"] for block in message["content"]]) == reasons
    assert message["content"][0] == {"type": "text", "text": 'get_weather({"city": 1,)'}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("arguments", "begun"),
    [
        ('{"city": "Ber', {"city": "Ber"}),
        ('{"days": [1, 2', {"days": [1, 2]}),
        ('{"cit', {}),
        ("", {}),
        ('{"a": "\\ud83d', {"a": ""}),
    ],
)
def test_a_call_that_the_limit_cut_is_there_as_far_as_it_came(
    stream: bool, arguments: str, begun: dict[str, object]
) -> None:
    cut = [ToolCallDelta(0, "call_a", "get_weather", arguments)]
    with running_api(LoggedEngine(cut, "length")) as api:
        response = api.post(MESSAGES, ask(tools=[WEATHER], stream=stream))
    if stream:
        assert named_events(response)[-2][1]["delta"]["stop_reason"] == "max_tokens"
    else:
        called = {"type": "tool_use", "id": "call_a", "name": "get_weather", "input": begun}
        assert (response.json()["stop_reason"], response.json()["content"]) == ("max_tokens", [called])


@pytest.mark.parametrize(("max_tokens", "reason"), [(2, "max_tokens"), (64_000, "model_context_window_exceeded")])
def test_max_tokens_is_at_most(max_tokens: int, reason: str) -> None:
    """Coding agents ask for more than any context of ours; the answer is as long as there is room."""
    with running_api(ScriptedEngine(Script(("word ",) * 50), context_tokens=25)) as api:
        body = api.post(MESSAGES, ask(max_tokens=max_tokens)).json()
    assert (body["stop_reason"], body["usage"]["output_tokens"]) == (reason, min(max_tokens, 20))


@pytest.mark.parametrize("stream", [False, True])
def test_the_stop_sequence_is_named(builtin_api: Api, stream: bool) -> None:
    body = ask("Count.", temperature=0, max_tokens=30)
    text = builtin_api.post(MESSAGES, body).json()["content"][0]["text"]
    stop = text[3:6]
    response = builtin_api.post(MESSAGES, body | {"stop_sequences": ["\x00", stop], "stream": stream})
    ended = named_events(response)[-2][1]["delta"] if stream else response.json()
    assert (ended["stop_reason"], ended["stop_sequence"]) == ("stop_sequence", stop)


def test_what_was_read_before_is_counted_apart(builtin_api: Api) -> None:
    body = ask("Tell me about the sea. " * 20, max_tokens=2)
    builtin_api.post(MESSAGES, body)
    usage = builtin_api.post(MESSAGES, body).json()["usage"]
    counted = builtin_api.post(f"{MESSAGES}/count_tokens", {key: body[key] for key in ("model", "messages")}).json()
    assert usage["cache_read_input_tokens"] > 0
    assert usage["input_tokens"] + usage["cache_read_input_tokens"] == counted["input_tokens"]


@pytest.mark.parametrize("stream", [False, True])
def test_the_beginning_of_an_answer_is_gone_on_with(builtin_api: Api, stream: bool) -> None:
    """As at Anthropic: the answer is what comes after it, and it counts as part of the prompt."""
    body = ask(messages=BEGUN, temperature=0, max_tokens=4)
    chat = {"messages": [{"role": "user", "content": "Count to five."}, {"role": "assistant", "content": "One, two,"}]}
    continued = {**chat, "model": "default", "temperature": 0, "max_tokens": 4, "continue_final_message": True}
    expected = builtin_api.post("/v1/chat/completions", continued).json()
    response = builtin_api.post(MESSAGES, body | {"stream": stream})
    if stream:
        events = [data for _, data in named_events(response)]
        text = "".join(data["delta"]["text"] for data in events if data["type"] == "content_block_delta")
    else:
        text = response.json()["content"][0]["text"]
    assert text == expected["choices"][0]["message"]["content"]
    assert not text.startswith("One")


def test_the_beginning_of_an_answer_is_counted_as_it_is_charged(builtin_api: Api) -> None:
    body = ask(messages=BEGUN, max_tokens=1)
    counted = builtin_api.post(f"{MESSAGES}/count_tokens", {key: body[key] for key in ("model", "messages")}).json()
    usage = builtin_api.post(MESSAGES, body).json()["usage"]
    assert counted["input_tokens"] == usage["input_tokens"] + usage["cache_read_input_tokens"]


def test_a_cut_call_is_closed_where_that_is_asked_for(scripted_api: Api) -> None:
    assert asked_of(scripted_api, close_cut_calls=True).close_cut_calls
    assert not asked_of(scripted_api).close_cut_calls


def test_tokens_are_counted_with_system_prompt_and_tools(scripted_api: Api) -> None:
    body = {"model": "default", "messages": [{"role": "user", "content": "two words"}]}
    count = scripted_api.post(f"{MESSAGES}/count_tokens", body).json()
    assert count == {"input_tokens": 6}
    more = scripted_api.post(f"{MESSAGES}/count_tokens", body | {"system": "Be kind.", "tools": [WEATHER]}).json()
    assert more["input_tokens"] == 6 + 6 + 10


def test_a_format_is_counted_as_it_is_charged(builtin_api: Api) -> None:
    fields = {f"field_{number}": {"type": "string", "description": f"Field {number}."} for number in range(20)}
    schema = {"type": "object", "properties": fields, "required": ["field_0"], "additionalProperties": False}
    body = ask("Say hi.", max_tokens=200, output_config={"format": {"type": "json_schema", "schema": schema}})
    counted = builtin_api.post(f"{MESSAGES}/count_tokens", {name: body[name] for name in body if name != "max_tokens"})
    usage = builtin_api.post(MESSAGES, body).json()["usage"]
    assert counted.json()["input_tokens"] == usage["input_tokens"] + usage["cache_read_input_tokens"] > 200


def test_every_hint_is_taken_and_counted(scripted_api: Api) -> None:
    hints = {
        "thinking": {"type": "enabled", "budget_tokens": 1024},
        "metadata": {"user_id": "user_1_session_2"},
        "context_management": {"edits": [{"type": "clear_tool_uses_20250919"}]},
        "service_tier": "auto",
        "cache_control": {"type": "ephemeral"},
        "output_config": {"effort": "high"},
    }
    system = [{"type": "text", "text": "Be kind.", **CACHED}, {"type": "text", "text": "Be short."}]
    content = [{"type": "text", "text": "Hi", **CACHED, "citations": None}, {"type": "text", "text": "there"}]
    request = asked_of(scripted_api, content=content, system=system, tools=[WEATHER | CACHED], **hints)
    assert [message.content for message in request.messages] == ["Be kind.\n\nBe short.", "Hi\nthere"]
    metrics = scripted_api.request("GET", "/metrics").text
    assert 'qwen_ignored_fields_total{field="thinking"}' in metrics


def test_strict_servers_refuse_what_they_ignore() -> None:
    with running_api(ScriptedEngine(), strict_api=True) as api:
        for fields in ({"thinking": {"type": "disabled"}}, {"tools": [{"type": "web_search_20250305", "name": "w"}]}):
            assert api.post(MESSAGES, ask(**fields)).status_code == 400


def test_the_clients_own_billing_line_is_no_part_of_the_prompt(scripted_api: Api) -> None:
    """It changes with every request, and no prompt would be found in the cache again."""
    system = [{"type": "text", "text": "x-anthropic-billing-header: cch=1;"}, {"type": "text", "text": "Be kind."}]
    assert asked_of(scripted_api, system=system).messages[0].content == "Be kind."


def test_a_round_of_calls_becomes_calls_and_results(scripted_api: Api) -> None:
    failed = {
        "type": "tool_result",
        "tool_use_id": "toolu_2",
        "is_error": True,
        "content": [{"type": "text", "text": "No such city."}],
    }
    thought = {"type": "thinking", "thinking": "hm", "signature": "x"}
    messages = [
        {"role": "user", "content": "Weather?"},
        {"role": "assistant", "content": [thought, CALL, CALL | {"id": "toolu_2", "input": {}}]},
        {"role": "user", "content": [{"type": "text", "text": "And?"}, failed]},
        {"role": "user", "content": [RESULT | CACHED, {"type": "text", "text": "Go on."}]},
    ]
    _, assistant, first, second, user = asked_of(scripted_api, messages=messages, tools=[WEATHER]).messages
    assert [(call.id, call.arguments) for call in assistant.tool_calls] == [
        ("toolu_1", '{"city": "Berlin"}'),
        ("toolu_2", "{}"),
    ]
    assert (first.tool_call_id, first.content) == ("toolu_2", "Error: No such city.")
    assert (second.tool_call_id, second.content) == ("toolu_1", "Rain.")
    assert user.content == "And?\nGo on."


def test_text_of_documents_and_of_searches_is_read(scripted_api: Api) -> None:
    content = [
        {"type": "document", "title": "Note", "source": {"type": "text", "media_type": "text/plain", "data": "One."}},
        {"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": "Two."}]}},
        {"type": "search_result", "source": "kb", "title": "Hit", "content": [{"type": "text", "text": "Three."}]},
    ]
    assert asked_of(scripted_api, content=content).messages[0].content == "Note\nOne.\nTwo.\nHit\nkb\nThree."


@pytest.mark.parametrize(
    ("choice", "mode", "parallel"),
    [
        (None, "auto", True),
        ({"type": "auto", "disable_parallel_tool_use": True}, "auto", False),
        ({"type": "any"}, "required", True),
        ({"type": "tool", "name": "get_weather", "disable_parallel_tool_use": False}, "named", True),
        ({"type": "none"}, "none", True),
    ],
)
def test_choices_of_a_tool(scripted_api: Api, choice: Any, mode: str, parallel: bool) -> None:
    asked = asked_of(scripted_api, tools=[WEATHER], tool_choice=choice).tool_choice
    assert (asked.mode, asked.parallel) == (mode, parallel)


def test_tools_of_the_server_are_left_out_and_counted(scripted_api: Api) -> None:
    tools = [{"type": "web_search_20250305", "name": "web_search", "max_uses": 5}, WEATHER | {"type": "custom"}]
    assert [tool.name for tool in asked_of(scripted_api, tools=tools).tools] == ["get_weather"]
    assert 'qwen_ignored_fields_total{field="tools"}' in scripted_api.request("GET", "/metrics").text


@pytest.mark.parametrize("where", ["output_config", "output_format"])
def test_a_format_is_kept_to_unless_a_call_is_forced(scripted_api: Api, where: str) -> None:
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    form: Any = {"type": "json_schema", "schema": schema}
    fields: Any = {"output_config": {"format": form}} if where == "output_config" else {"output_format": form}
    forced = {"tools": [WEATHER], "tool_choice": {"type": "any"}}
    assert asked_of(scripted_api, **fields, **forced).grammar is None
    scripted_api.post(MESSAGES, ask(**fields))
    engine: Any = scripted_api.service._engine
    assert isinstance(engine.requests[-1].grammar, JsonSchema)


@pytest.mark.parametrize(
    ("fields", "hint"),
    [
        ({"messages": []}, "messages"),
        (
            {"tools": [{"type": "function", "function": {"name": "f"}}]},
            "tools[0].type: This is OpenAI's form of a tool.",
        ),
        ({"tools": [WEATHER], "tool_choice": {"type": "tool"}}, "tool_choice.name: tool_choice 'tool' needs the name"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"model": 5}, "model"),
        ({"content": [PIXEL]}, "messages[0].content[0]: This model reads text only, not images."),
        ({"messages": round_of(RESULT | {"content": [PIXEL]})}, "messages[2].content[0].content[0]: This model reads"),
        ({"content": [{"type": "document", "source": {"type": "url", "url": "x"}}]}, "document as text"),
        ({"content": [{"type": "hologram"}]}, "hologram"),
        ({"content": [{"type": "text"}]}, "messages[0].content[0].text"),
        ({"content": [RESULT]}, "messages[0].content[0].tool_use_id: The assistant's message"),
        ({"messages": round_of(RESULT | {"tool_use_id": "other"})}, "'other'"),
        ({"messages": round_of(RESULT, RESULT)}, "two results"),
        ({"messages": [*round_of()[:2]]}, "messages[1].content: The conversation ends with a tool_use"),
        ({"messages": [*USER, {"role": "assistant", "content": "Sure, "}]}, "messages[1].content: The beginning of an"),
        ({"messages": BEGUN, "output_config": {"format": {"type": "json_schema", "schema": {}}}}, "whole answer"),
        ({"tools": [WEATHER, WEATHER]}, "tools[1].name"),
        ({"tools": [{"name": "x"}]}, "tools[0].input_schema"),
        ({"tools": [WEATHER], "tool_choice": {"type": "tool", "name": "fly"}}, "'fly'"),
        ({"tool_choice": {"type": "any"}}, "needs tools"),
        ({"output_config": {"format": {"type": "json_schema", "schema": {"$ref": "#/nowhere"}}}}, "output_config"),
        ({"stop_sequences": ["x"] * 17}, "stop"),
    ],
)
def test_what_cannot_be_done_is_refused_by_a_sentence(builtin_api: Api, fields: dict[str, Any], hint: str) -> None:
    response = builtin_api.post(MESSAGES, ask(**fields))
    body = response.json()
    assert (response.status_code, body["type"], body["error"]["type"]) == (400, "error", "invalid_request_error")
    assert set(body) == {"type", "error", "request_id"}
    assert set(body["error"]) <= {"type", "message", "details"}
    assert hint in body["error"]["message"]


@pytest.mark.parametrize(
    ("failure", "status", "kind"),
    [
        (TooManyRequests("Full.", retry_after_s=7), 429, "rate_limit_error"),
        (EngineUnavailable("Loading."), 503, "overloaded_error"),
        (EngineError("Broken."), 500, "api_error"),
    ],
)
def test_failures_have_anthropics_shape(failure: Any, status: int, kind: str) -> None:
    with running_api(ScriptedEngine(Script(error=failure))) as api:
        response = api.post(MESSAGES, ask())
    error = response.json()["error"]
    assert (response.status_code, error["type"], error["message"]) == (status, kind, str(failure))
    assert response.json()["request_id"] == response.headers["request-id"]
    assert ("retry-after" in response.headers) == (status in (429, 503))


def test_a_stream_that_fails_ends_with_the_error() -> None:
    with running_api(ScriptedEngine(Script(error=EngineUnavailable("Gone."), error_at=2))) as api:
        events = named_events(api.post(MESSAGES, ask(stream=True)))
    error = events[-1][1]["error"]
    assert (error["type"], error["message"]) == ("overloaded_error", "Gone.")


@pytest.mark.parametrize(
    ("method", "path", "status", "kind"),
    [
        ("GET", MESSAGES, 405, "invalid_request_error"),
        ("POST", f"{MESSAGES}/batches", 404, "not_found_error"),
        ("GET", f"{MESSAGES}/batches/x%0Ay", 404, "not_found_error"),
    ],
)
def test_other_paths_and_methods_below_it(scripted_api: Api, method: str, path: str, status: int, kind: str) -> None:
    response = scripted_api.request(method, path)
    assert (response.status_code, response.json()["error"]["type"]) == (status, kind)
    assert response.json()["type"] == "error"


def test_paths_of_both_apis_fail_in_the_shape_of_who_asks(scripted_api: Api) -> None:
    path, theirs = "/v1/models/claude-opus-9", {"anthropic-version": "2023-06-01"}
    assert scripted_api.request("GET", path, headers=theirs).json()["error"]["type"] == "not_found_error"
    assert scripted_api.request("GET", path).json()["error"]["code"] == "model_not_found"


def test_unknown_model_too_long_a_prompt_and_too_large_a_body(scripted_api: Api) -> None:
    unknown = scripted_api.post(MESSAGES, ask(model="claude-opus-9"))
    assert (unknown.status_code, unknown.json()["error"]["type"]) == (404, "not_found_error")
    long = scripted_api.post(MESSAGES, ask("word " * 9000))
    assert long.json()["error"]["message"].startswith("prompt is too long: 9004 tokens > 8192 maximum")
    large = scripted_api.post(MESSAGES, ask("x" * 5_000_000))
    assert (large.status_code, large.json()["error"]["type"]) == (413, "request_too_large")


def test_keys_of_either_header_and_limits_hold() -> None:
    with running_api(ScriptedEngine(), api_keys="secret", requests_per_minute=2) as api:
        assert api.post(MESSAGES, {}).json()["error"]["type"] == "authentication_error"
        assert api.post(MESSAGES, ask(), headers={"x-api-key": "wrong"}).status_code == 401
        assert api.post(MESSAGES, ask(), headers={"x-api-key": "secret"}).status_code == 200
        assert api.post(MESSAGES, ask(), headers={"authorization": "Bearer secret"}).status_code == 200
        limited = api.post(MESSAGES, ask(), headers={"x-api-key": "secret"})
        assert (limited.status_code, limited.json()["error"]["type"]) == (429, "rate_limit_error")
        assert api.post("/v1/tokenize", {"prompt": "x"}, headers={"x-api-key": "secret"}).status_code == 429


def test_responses_are_counted_by_route(scripted_api: Api) -> None:
    scripted_api.post(MESSAGES, ask())
    assert 'route="/v1/messages",status="200"' in scripted_api.request("GET", "/metrics").text


def test_the_model_has_more_names() -> None:
    with running_api(ScriptedEngine(), model_name="claude-sonnet-4-5, gpt-4o-mini") as api:
        listed = [one["id"] for one in api.request("GET", "/v1/models").json()["data"]]
        assert listed == ["scripted", "claude-sonnet-4-5", "gpt-4o-mini"]
        assert api.request("GET", "/v1/models/gpt-4o-mini").json()["id"] == "gpt-4o-mini"
        assert api.post(MESSAGES, ask(model="claude-sonnet-4-5")).status_code == 200
        assert api.chat(model="gpt-4o-mini").status_code == 200
        assert "'gpt-4o-mini'" in api.chat(model="no-such").json()["error"]["message"]
