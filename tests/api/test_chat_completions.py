"""Chat completions: what goes in reaches the engine, what comes out fits the openai SDK's types."""

from __future__ import annotations

import json
from typing import Any

import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from qwen_app.errors import EngineError, OutOfDeviceMemory
from qwen_app.messages import (
    Delta,
    GenerationRequest,
    JsonObject,
    JsonSchema,
    Message,
    Tool,
    ToolCall,
    ToolCallDelta,
    ToolChoice,
)
from qwen_app.testing.scripted_engine import Script, ScriptedEngine
from tests.api.scripts import LoggedEngine, byte_token, text_of_chunks
from tests.api.sdk import events_of, strictly
from tests.api.serving import CHAT, Api, running_api

WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}
CALLS = (
    ToolCallDelta(0, "call_a", "weather"),
    ToolCallDelta(0, arguments='{"city": '),
    ToolCallDelta(0, arguments='"Paris"}'),
    ToolCallDelta(1, "call_b", "weather"),
    ToolCallDelta(1, arguments="{}"),
)


def asked(**fields: Any) -> GenerationRequest:
    """The engine's request for a chat completion with ``fields``."""
    engine = ScriptedEngine()
    with running_api(engine) as api:
        response = api.chat(**fields)
        assert response.status_code == 200, response.text
    return engine.requests[0]


def test_whole_answer_fits_the_sdk(scripted_api: Api) -> None:
    body = scripted_api.chat().json()
    completion = strictly(ChatCompletion, body)
    assert completion.choices[0].message.content == "Hello, world."
    assert completion.choices[0].finish_reason == "stop"
    assert completion.usage.total_tokens == completion.usage.prompt_tokens + 4
    assert body["choices"][0]["logprobs"] is None
    assert body["choices"][0]["message"]["refusal"] is None


def test_stream_fits_the_sdk(scripted_api: Api) -> None:
    response = scripted_api.chat(stream=True)
    assert response.headers["x-accel-buffering"] == "no"
    assert response.text.endswith("data: [DONE]\n\n")
    chunks = [strictly(ChatCompletionChunk, event) for event in events_of(response)]
    assert text_of_chunks(chunks) == "Hello, world."
    assert chunks[0].choices[0].delta.role == "assistant"
    assert [chunk.choices[0].finish_reason for chunk in chunks] == [None] * (len(chunks) - 1) + ["stop"]
    assert len({(chunk.id, chunk.created, chunk.model) for chunk in chunks}) == 1
    assert all("usage" not in event for event in events_of(response))


def test_usage_is_a_chunk_of_its_own_before_the_end_mark(scripted_api: Api) -> None:
    events = events_of(scripted_api.chat(stream=True, stream_options={"include_usage": True}))
    assert [event["usage"] for event in events[:-1]] == [None] * (len(events) - 1)
    assert events[-1]["choices"] == []
    assert strictly(ChatCompletionChunk, events[-1]).usage.completion_tokens == 4


def test_every_parameter_reaches_the_engine() -> None:
    sampling = asked(
        temperature=0.5,
        top_p=0.9,
        top_k=7,
        min_p=0.1,
        seed=-5,
        stop=["END", "\n"],
        max_tokens=9,
        presence_penalty=0.5,
        frequency_penalty=-0.5,
        repetition_penalty=1.2,
        logprobs=True,
        top_logprobs=3,
    ).sampling
    assert (sampling.temperature, sampling.top_p, sampling.top_k, sampling.min_p) == (0.5, 0.9, 7, 0.1)
    assert (sampling.seed, sampling.stop, sampling.max_tokens) == (-5, ("END", "\n"), 9)
    assert (sampling.presence_penalty, sampling.frequency_penalty, sampling.repetition_penalty) == (0.5, -0.5, 1.2)
    assert (sampling.logprobs, sampling.top_logprobs) == (True, 3)


def test_what_is_not_given_is_the_models_own_default() -> None:
    request = asked(temperature=None, stop=None, tools=None, n=None, stream=None)
    assert request.sampling == ScriptedEngine().info().sampling
    assert request.user == "local"


def test_max_completion_tokens_wins() -> None:
    assert asked(max_tokens=5, max_completion_tokens=3).sampling.max_tokens == 3


def test_one_stop_string_may_stand_alone() -> None:
    assert asked(stop="END").sampling.stop == ("END",)


@pytest.mark.parametrize(("given", "meant"), [({"top_p": 0}, ("top_p", 1e-6)), ({"top_k": -1}, ("top_k", 0))])
def test_switched_off_values_keep_their_meaning(given: dict[str, Any], meant: tuple[str, float]) -> None:
    assert getattr(asked(**given).sampling, meant[0]) == meant[1]


def test_roles_and_contents() -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Paris"}'}}
    request = asked(
        messages=[
            {"role": "developer", "content": "Be brief."},
            {"role": "user", "content": [{"type": "text", "text": "How "}, {"type": "text", "text": "warm?"}]},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "call_1", "content": "22"},
            {"role": "assistant"},
            {"role": "user", "content": "Sure?"},
        ],
        tools=[WEATHER],
    )
    assert request.messages == (
        Message("system", "Be brief."),
        Message("user", "How warm?"),
        Message("assistant", "", (ToolCall("call_1", "weather", '{"city": "Paris"}'),)),
        Message("tool", "22", tool_call_id="call_1"),
        Message("assistant", ""),
        Message("user", "Sure?"),
    )


@pytest.mark.parametrize("arguments", ["", "{", "5", '"x"', "[1]", None, {"a": 1}])
def test_the_arguments_of_a_call_in_the_history_may_be_any(arguments: Any) -> None:
    """A model's slip, or what a limit cut, is part of the conversation for good: it must not end it."""
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": arguments}}
    request = asked(
        messages=[{"role": "assistant", "tool_calls": [call]}, {"role": "tool", "tool_call_id": "c", "content": "no"}]
    )
    text = arguments if isinstance(arguments, str) else '{"a": 1}' if arguments else ""
    assert request.messages[0].tool_calls == (ToolCall("c", "f", text),)


def test_what_another_model_said_in_the_history_is_read_without_its_thoughts() -> None:
    """Calls of tools that are no functions are calls all the same."""
    call = {"id": "c1", "type": "custom", "custom": {"name": "shell", "input": "ls"}}
    thoughts = [
        {"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]},
        {"type": "reasoning", "text": "Hm."},
    ]
    asked_messages = [
        {"role": "user", "content": "Look."},
        {"role": "assistant", "content": [*thoughts, {"type": "text", "text": "I look."}], "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "a.txt"},
    ]
    assert asked(messages=asked_messages).messages == (
        Message("user", "Look."),
        Message("assistant", "I look.", (ToolCall("c1", "shell", "ls"),)),
        Message("tool", "a.txt", tool_call_id="c1"),
    )


@pytest.mark.parametrize(
    "refused",
    [
        {"content": None, "refusal": "Not that."},
        {"refusal": "Not that."},
        {"content": [{"type": "refusal", "refusal": "Not that."}]},
    ],
)
def test_what_an_answer_refused_in_the_history_was_said(refused: dict[str, Any]) -> None:
    said = {"role": "assistant", **refused}
    history = [{"role": "user", "content": "Do it."}, said, {"role": "user", "content": "Why?"}]
    assert asked(messages=history).messages[1] == Message("assistant", "Not that.")


@pytest.mark.parametrize("text", ["a\0b", "\u202e\u0007", "e" + "\u0301" * 10_000, "👩‍👩‍👧‍👦", "שלום", ""])
def test_odd_text_arrives_unchanged(text: str) -> None:
    assert asked(content=text).messages == (Message("user", text),)


def test_half_characters_become_the_replacement_character() -> None:
    engine = ScriptedEngine()
    with running_api(engine) as api:
        body = b'{"model": "default", "messages": [{"role": "user", "content": "a\\ud800b \\ud83d\\ude00"}]}'
        response = api.request("POST", CHAT, content=body, headers={"content-type": "application/json"})
    assert response.status_code == 200
    assert engine.requests[0].messages[0].content == "a\ufffdb 😀"


def test_half_characters_in_an_answer_do_not_break_its_body() -> None:
    with running_api(ScriptedEngine(Script(("a", "\ud83d", "b")))) as api:
        chunks = events_of(api.chat(stream=True))
        assert len(chunks) == 5


def test_several_answers_have_seeds_in_a_row_and_share_one_prompt() -> None:
    engine = ScriptedEngine()
    with running_api(engine) as api:
        completion = strictly(ChatCompletion, api.chat(n=4, seed=7).json())
    assert [choice.index for choice in completion.choices] == [0, 1, 2, 3]
    assert sorted(request.sampling.seed or 0 for request in engine.requests) == [7, 8, 9, 10]
    assert len({request.request_id for request in engine.requests}) == 4
    assert completion.usage.prompt_tokens == 5
    assert completion.usage.completion_tokens == 16


def test_several_answers_stream_side_by_side() -> None:
    script = Script(tuple(f"w{index} " for index in range(20)), token_s=0.002)
    with running_api(ScriptedEngine(script)) as api:
        chunks = [strictly(ChatCompletionChunk, event) for event in events_of(api.chat(n=3, stream=True))]
    for index in range(3):
        mine = [chunk for chunk in chunks if chunk.choices[0].index == index]
        assert text_of_chunks(mine) == "".join(script.text)
        assert mine[-1].choices[0].finish_reason == "stop"
    order = [chunk.choices[0].index for chunk in chunks]
    assert order != sorted(order)


def test_when_one_of_several_is_refused_none_runs() -> None:
    engine = ScriptedEngine(Script(token_s=0.05), slots=1, queue_limit=1)
    with running_api(engine) as api:
        response = api.chat(n=4)
        assert response.status_code == 429
        assert api.service.health().running == 0
    assert engine.tokens_made == 0


def test_tool_calls() -> None:
    engine = ScriptedEngine(Script((), CALLS))
    with running_api(engine) as api:
        completion = strictly(ChatCompletion, api.chat(tools=[WEATHER], parallel_tool_calls=False).json())
    choice = completion.choices[0]
    assert choice.finish_reason == "tool_calls"
    assert choice.message.content is None
    assert [(c.id, c.function.name, c.function.arguments) for c in choice.message.tool_calls] == [
        ("call_a", "weather", '{"city": "Paris"}'),
        ("call_b", "weather", "{}"),
    ]
    function = WEATHER["function"]
    assert isinstance(function, dict)
    assert engine.requests[0].tools == (Tool("weather", "The weather.", function["parameters"]),)
    assert engine.requests[0].tool_choice == ToolChoice("auto", None, parallel=False)


def test_tool_calls_stream_in_the_shape_that_clients_join() -> None:
    with running_api(ScriptedEngine(Script(("Let me see. ",), CALLS))) as api:
        events = events_of(api.chat(tools=[WEATHER], stream=True))
    for event in events:
        strictly(ChatCompletionChunk, event)
    deltas = [call for event in events for call in event["choices"][0]["delta"].get("tool_calls", [])]
    assert deltas[0] == {
        "index": 0,
        "id": "call_a",
        "type": "function",
        "function": {"name": "weather", "arguments": ""},
    }
    assert deltas[1] == {"index": 0, "function": {"arguments": '{"city": '}}
    joined = "".join(delta["function"]["arguments"] for delta in deltas if delta["index"] == 0)
    assert json.loads(joined) == {"city": "Paris"}
    assert events[-1]["choices"][0]["finish_reason"] == "tool_calls"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("choice", "calls", "reason", "expected"),
    [
        ("auto", CALLS, "tool_calls", "tool_calls"),
        ("required", CALLS, "tool_calls", "tool_calls"),
        ({"type": "function", "function": {"name": "weather"}}, CALLS, "tool_calls", "stop"),
        ("auto", (), "tool_calls", "stop"),
        ("auto", (), "length", "length"),
        ("auto", (), "deadline", "length"),
        ("none", (), "stop", "stop"),
    ],
)
def test_finish_reason(stream: bool, choice: Any, calls: Any, reason: Any, expected: str) -> None:
    with running_api(ScriptedEngine(Script(("x",), calls, reason))) as api:
        response = api.chat(tools=[WEATHER], tool_choice=choice, stream=stream)
    body = events_of(response)[-1] if stream else response.json()
    assert body["choices"][0]["finish_reason"] == expected


def test_a_call_that_was_cut_ends_with_length() -> None:
    engine = LoggedEngine([CALLS[0], CALLS[1]], reason="length")
    with running_api(engine) as api:
        body = api.chat(tools=[WEATHER]).json()
    assert body["choices"][0]["finish_reason"] == "length"
    assert body["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"] == '{"city": '


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_the_server_itself_stopped_is_no_answer(stream: bool) -> None:
    with running_api(ScriptedEngine(Script(("x",), reason="cancelled"))) as api:
        response = api.chat(stream=stream)
    error = events_of(response)[-1]["error"] if stream else response.json()["error"]
    assert error["type"] == "server_error"
    assert response.status_code == (200 if stream else 503)


@pytest.mark.parametrize("stream", [False, True])
def test_logprobs(stream: bool) -> None:
    first, second, third = (byte_token(byte) for byte in (b"H", b"\xc3", b"\xa9"))
    held_back = [Delta("H", (72,), (first,)), Delta("", (195,), (second,)), Delta("é", (169,), (third,))]
    with running_api(LoggedEngine(held_back)) as api:
        response = api.chat(logprobs=True, top_logprobs=2, stream=stream)
    if stream:
        chunks = [strictly(ChatCompletionChunk, event) for event in events_of(response)]
        assert text_of_chunks(chunks) == "Hé"
        tokens = [t for chunk in chunks for c in chunk.choices if c.logprobs for t in c.logprobs.content]
    else:
        tokens = strictly(ChatCompletion, response.json()).choices[0].logprobs.content
    assert b"".join(bytes(token.bytes) for token in tokens) == "Hé".encode()
    assert all(len(token.top_logprobs) == 2 for token in tokens)
    assert all(token.logprob >= -9999.0 for token in tokens)


def test_ids_whose_text_is_held_back_make_no_empty_chunks() -> None:
    engine = LoggedEngine([Delta("", (1,)), Delta("", (2,)), Delta("é", (3,)), Delta("", (4,))])
    with running_api(engine) as api:
        events = events_of(api.chat(stream=True))
    contents = [event["choices"][0]["delta"].get("content") for event in events]
    assert contents == ["", "é", None]


def test_a_failure_in_mid_stream_is_one_error_event_and_the_end_mark() -> None:
    script = Script(("a", "b", "c"), error=OutOfDeviceMemory('No "memory" left.'), error_at=2)
    with running_api(ScriptedEngine(script)) as api:
        response = api.chat(stream=True)
        assert response.status_code == 200
        events = events_of(response)
        assert response.text.endswith("data: [DONE]\n\n")
        assert events[-1]["error"] == {
            "message": 'No "memory" left.',
            "type": "server_error",
            "param": None,
            "code": "out_of_memory",
        }
        assert sum("error" in event for event in events) == 1
        assert api.chat(stream=False).status_code == 503


def test_when_one_of_several_fails_the_others_are_stopped() -> None:
    def script(request: GenerationRequest) -> Script:
        failing = request.request_id.endswith("-1")
        return Script(("w ",) * 500, error=EngineError("Broken.") if failing else None, error_at=3, token_s=0.005)

    engine = ScriptedEngine(script)
    with running_api(engine) as api:
        events = events_of(api.chat(n=3, stream=True))
    assert events[-1]["error"]["message"] == "Broken."
    assert engine.tokens_made < 100


@pytest.mark.parametrize(
    ("given", "grammar"), [(None, None), ({"type": "text"}, None), ({"type": "json_object"}, JsonObject())]
)
def test_response_format(given: Any, grammar: JsonObject | None) -> None:
    assert asked(response_format=given).grammar == grammar


def test_json_object_is_asked_for_when_nobody_speaks_of_it() -> None:
    form = {"type": "json_object"}
    silent = asked(response_format=form).messages
    assert "JSON" in silent[0].content
    assert silent[0].role == "system"
    assert len(asked(response_format=form, content="A json document, please.").messages) == 1
    with_system = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "x"}]
    assert asked(response_format=form, messages=with_system).messages[0].content.startswith("Be brief.\n\nAnswer with")


def test_a_schema_is_checked_where_it_comes_in() -> None:
    engine = ScriptedEngine()
    schema = {"properties": {"a": {"$ref": "https://elsewhere.invalid/schema.json"}}}
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    with running_api(engine) as api:
        response = api.chat(response_format=form)
    assert response.status_code == 400
    assert response.json()["error"]["param"] == "response_format"
    assert "/properties/a/$ref" in response.json()["error"]["message"]
    assert engine.requests == []


def test_json_schema_keeps_the_order_of_its_keys() -> None:
    schema = {"type": "object", "properties": {"zebra": {"type": "string"}, "ant": {"type": "integer"}}}
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema, "strict": True}}
    request = asked(response_format=form)
    assert request.grammar == JsonSchema(schema, strict=True)
    assert json.dumps(schema) in request.messages[0].content


@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "weather"}}])
def test_a_format_beside_a_forced_call_is_for_text_and_there_is_none(choice: Any) -> None:
    request = asked(response_format={"type": "json_object"}, tools=[WEATHER], tool_choice=choice)
    assert request.tool_choice.forced
    assert request.grammar is None
    assert asked(response_format={"type": "json_object"}, tools=[WEATHER]).grammar == JsonObject()


def test_the_conversation_id_is_the_same_in_every_turn_of_a_chat() -> None:
    first = [{"role": "user", "content": "One"}]
    second = [*first, {"role": "assistant", "content": "1"}, {"role": "user", "content": "Two"}]
    ids = [asked(messages=messages).conversation_id for messages in (first, second)]
    assert ids[0] == ids[1] != asked(messages=second[2:]).conversation_id


@pytest.mark.parametrize("stream", [False, True])
def test_truncation_leaves_out_the_oldest_turns_and_reports_it(stream: bool) -> None:
    turns = [
        {"role": role, "content": f"{number} " + "word " * 100}
        for number in range(50)
        for role in ("user", "assistant")
    ]
    messages = [{"role": "system", "content": "Be brief."}, *turns, {"role": "user", "content": "Last"}]
    engine = ScriptedEngine(context_tokens=2000)
    with running_api(engine) as api:
        refused = api.chat(messages=messages, max_tokens=100)
        response = api.chat(messages=messages, max_tokens=100, truncation="auto", stream=stream)
    assert refused.json()["error"]["code"] == "context_length_exceeded"
    assert response.status_code == 200
    sent = engine.requests[-1].messages
    assert sent[0].content == "Be brief."
    assert sent[-1].content == "Last"
    body = events_of(response)[0] if stream else response.json()
    assert body["truncation"]["dropped_messages"] == len(messages) - len(sent) > 0
    assert response.headers["x-truncated-messages"] == str(len(messages) - len(sent))
    strictly(ChatCompletionChunk if stream else ChatCompletion, body)


def test_a_trimmed_conversation_keeps_its_beginning_in_the_next_turn() -> None:
    turns = [{"role": r, "content": f"{i} " + "word " * 100} for i in range(50) for r in ("user", "assistant")]
    engine = ScriptedEngine(context_tokens=4000)
    with running_api(engine) as api:
        for more in ([], turns[:2]):
            messages = [*turns, *more, {"role": "user", "content": "Last"}]
            assert api.chat(messages=messages, truncation="auto").status_code == 200
    first, second = (request.messages for request in engine.requests)
    assert second[: len(first) - 1] == first[:-1]


def test_truncation_that_is_not_needed_is_not_reported(scripted_api: Api) -> None:
    response = scripted_api.chat(truncation="auto")
    assert "truncation" not in response.json()
    assert "x-truncated-messages" not in response.headers
