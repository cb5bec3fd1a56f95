"""The responses endpoint, through the openai SDK and against its types."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from openai.types.responses import Response, ResponseStreamEvent

from qwen_app.errors import AppError, OutOfDeviceMemory, RequestError, SchemaError, TooManyRequests
from qwen_app.messages import (
    Delta,
    Event,
    Failed,
    GenerationRequest,
    JsonSchema,
    Message,
    ToolCall,
    ToolCallDelta,
    ToolChoice,
)
from qwen_app.testing.scripted_engine import Script, ScriptedEngine
from tests.api.scripts import LoggedEngine, byte_token
from tests.api.sdk import events_of, sdk, strictly
from tests.api.serving import Api, running_api

PATH = "/v1/responses"
TOOL = {"type": "function", "name": "weather", "parameters": {"type": "object", "properties": {}}, "strict": True}
CALL_ITEM = {"type": "function_call", "call_id": "c", "name": "f", "arguments": ""}
RESULT_ITEM = {"type": "function_call_output", "call_id": "c", "output": "1"}
CALL = [
    ToolCallDelta(0, "call_a", "weather"),
    ToolCallDelta(0, arguments='{"city": '),
    ToolCallDelta(0, arguments='"Paris"}'),
    ToolCallDelta(1, "call_b", "weather", "{}"),
]


def respond(api: Api, **fields: Any) -> Any:
    return api.post(PATH, {"model": "default", "input": "Hi", **fields})


def test_whole_answer_fits_the_sdk(scripted_api: Api) -> None:
    response = strictly(Response, respond(scripted_api, temperature=0.5, metadata={"a": "b"}).json())
    assert response.output_text == "Hello, world."
    assert response.status == "completed"
    assert response.usage.total_tokens == response.usage.input_tokens + 4


@pytest.mark.slow
@pytest.mark.parametrize("middle", [[Delta("Hel"), Delta("", (1,)), Delta("lo")], CALL, [Delta("So: "), *CALL], []])
def test_stream_tells_what_the_whole_answer_holds(middle: list[Event]) -> None:
    with running_api(LoggedEngine(middle)) as api:
        whole = respond(api, tools=[TOOL]).json()
        events = events_of(respond(api, tools=[TOOL], stream=True))
    typed = [strictly(ResponseStreamEvent, event) for event in events]
    assert [event.sequence_number for event in typed] == list(range(len(typed)))
    assert [event.type for event in typed[:2]] == ["response.created", "response.in_progress"]
    assert typed[-1].type == "response.completed"
    assert without_ids(events[-1]["response"]["output"]) == without_ids(whole["output"])
    done = [event["item"] for event in events if event["type"] == "response.output_item.done"]
    assert done == events[-1]["response"]["output"]


def without_ids(output: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{key: value for key, value in item.items() if key != "id"} for item in output]


def test_arguments_join_to_json() -> None:
    with (
        running_api(LoggedEngine(CALL)) as api,
        sdk(api) as client,
        client.responses.stream(model="default", input="Hi", tools=[TOOL]) as stream,  # type: ignore[list-item]
    ):
        kinds = [event.type for event in stream]
        final = stream.get_final_response()
    assert "response.function_call_arguments.delta" in kinds
    calls = [
        (item.call_id, item.name, json.loads(item.arguments)) for item in final.output if item.type == "function_call"
    ]
    assert calls == [("call_a", "weather", {"city": "Paris"}), ("call_b", "weather", {})]


def test_sdk_stream_joins_the_text(scripted_api: Api) -> None:
    with sdk(scripted_api) as client, client.responses.stream(model="default", input="Hi") as stream:
        text = "".join(event.delta for event in stream if event.type == "response.output_text.delta")
    assert text == "Hello, world."


@pytest.mark.parametrize("stream", [False, True])
def test_a_cut_answer_is_incomplete(stream: bool, scripted_api: Api) -> None:
    given = respond(scripted_api, max_output_tokens=2, stream=stream)
    body = events_of(given)[-1]["response"] if stream else given.json()
    assert body["status"] == "incomplete"
    assert body["incomplete_details"] == {"reason": "max_output_tokens"}
    assert strictly(Response, body).output_text == "Hello, "


def test_a_conversation_with_calls() -> None:
    engine = ScriptedEngine()
    items = [
        {"role": "developer", "content": "Be brief."},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Warm?"}]},
        {"type": "reasoning", "id": "rs_1", "summary": []},
        {"role": "assistant", "content": [{"type": "output_text", "text": "I look.", "annotations": []}]},
        {"type": "function_call", "call_id": "c1", "name": "weather", "arguments": "{}"},
        {"type": "function_call", "call_id": "c2", "name": "weather", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c1", "output": "22"},
        {"type": "function_call_output", "call_id": "c2", "output": "23"},
    ]
    with running_api(engine) as api:
        response = respond(api, input=items, instructions="Speak French.", tools=[TOOL], tool_choice="none")
    assert response.status_code == 200, response.text
    assert engine.requests[0].messages == (
        Message("system", "Speak French."),
        Message("system", "Be brief."),
        Message("user", "Warm?"),
        Message("assistant", "I look.", (ToolCall("c1", "weather", "{}"), ToolCall("c2", "weather", "{}"))),
        Message("tool", "22", tool_call_id="c1"),
        Message("tool", "23", tool_call_id="c2"),
    )
    assert engine.requests[0].tool_choice == ToolChoice("none")


@pytest.mark.parametrize("field", ["id", "call_id"])  # OpenAI's reference and its agents SDK have the first
def test_a_history_that_another_model_began(field: str) -> None:
    """Calls of tools that are no functions are calls all the same; what servers did themselves is left out."""
    engine = ScriptedEngine()
    items = [
        {"role": "user", "content": "Mend it."},
        {"type": "mcp_list_tools", "id": "m1", "server_label": "x", "tools": []},
        {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search", "query": "q"}},
        {"type": "code_interpreter_call", "id": "ci_1", "code": "1", "outputs": [], "container_id": "c"},
        {"role": "assistant", "content": "I patch."},
        {"type": "custom_tool_call", "call_id": "c1", "name": "apply_patch", "input": "*** Begin"},
        {"type": "local_shell_call", "call_id": "c2", "action": {"type": "exec", "command": ["ls"]}},
        {"type": "custom_tool_call_output", "call_id": "c1", "output": [{"type": "input_text", "text": "done"}]},
        {"type": "local_shell_call_output", field: "c2", "output": "a.txt"},
        {"type": "shell_call", "call_id": "c3", "action": {"commands": ["pwd"]}},
        {"type": "shell_call_output", "call_id": "c3", "output": [{"stdout": "/", "outcome": {"type": "timeout"}}]},
        {"role": "user", "content": "Thanks."},
    ]
    with running_api(engine) as api:
        response = respond(api, input=items)
    assert response.status_code == 200, response.text
    shell = ToolCall("c2", "local_shell", '{"type": "exec", "command": ["ls"]}')
    assert engine.requests[0].messages == (
        Message("user", "Mend it."),
        Message("assistant", "I patch.", (ToolCall("c1", "apply_patch", "*** Begin"), shell)),
        Message("tool", "done", tool_call_id="c1"),
        Message("tool", "a.txt", tool_call_id="c2"),
        Message("assistant", "", (ToolCall("c3", "shell", '{"commands": ["pwd"]}'),)),
        Message("tool", '[{"stdout": "/", "outcome": {"type": "timeout"}}]', tool_call_id="c3"),
        Message("user", "Thanks."),
    )
    with running_api(ScriptedEngine(), strict_api=True) as api:
        assert respond(api, input=[items[0], {"type": "web_search_call"}]).json()["error"]["param"] == "input[1]"


@pytest.mark.parametrize(
    "middle",
    [
        [Delta("So: "), *CALL, Delta("\nWait.")],
        [*CALL, Delta("Wait.")],
        [*CALL[:3], Delta("And "), CALL[3], Delta("wait.")],
    ],
)
def test_an_answer_whose_text_goes_on_after_its_calls_can_be_sent_back(middle: list[Event]) -> None:
    """The results follow all of its items, as clients append them; they answer one message of the assistant's."""
    engine = LoggedEngine(middle)
    with running_api(engine) as api:
        output = respond(api, tools=[TOOL]).json()["output"]
        calls = [item["call_id"] for item in output if item["type"] == "function_call"]
        results = [{"type": "function_call_output", "call_id": call_id, "output": call_id} for call_id in calls]
        again = respond(api, input=[{"role": "user", "content": "Hi"}, *output, *results], tools=[TOOL])
    assert again.status_code == 200, again.text
    said = "".join(event.text for event in middle if isinstance(event, Delta))
    made = (ToolCall("call_a", "weather", '{"city": "Paris"}'), ToolCall("call_b", "weather", "{}"))
    answered = [Message("tool", call_id, tool_call_id=call_id) for call_id in calls]
    assert engine.requests[1].messages == (Message("user", "Hi"), Message("assistant", said, made), *answered)


@pytest.mark.parametrize("before", [[], [{"role": "assistant", "content": [{"type": "output_text", "text": "So: "}]}]])
def test_what_is_wrong_in_text_after_a_call_is_named_where_it_stands(
    scripted_api: Api, before: list[dict[str, Any]]
) -> None:
    picture = {"role": "assistant", "content": [{"type": "output_text", "text": "See"}, {"type": "input_image"}]}
    refused = respond(scripted_api, input=[*before, CALL_ITEM, picture, RESULT_ITEM])
    assert refused.status_code == 400
    assert refused.json()["error"]["param"] == f"input[{len(before) + 1}].content[1].type"


def test_format_and_named_tool() -> None:
    engine = ScriptedEngine()
    schema = {"type": "object", "properties": {"b": {}, "a": {}}}
    form = {"format": {"type": "json_schema", "name": "x", "schema": schema, "strict": True}}
    with running_api(engine) as api:
        body = respond(api, text=form).json()
        respond(api, tools=[TOOL], tool_choice={"type": "function", "name": "weather"})
    assert engine.requests[0].grammar == JsonSchema(schema)
    assert strictly(Response, body).text.format.name == "x"
    assert engine.requests[1].tool_choice == ToolChoice("named", "weather")


NAMED = {"type": "function", "name": "weather"}
NAMED_IN_CHAT = {"type": "function", "function": {"name": "weather"}}
ALLOWED = {"type": "allowed_tools", "mode": "required", "tools": [NAMED]}


@pytest.mark.parametrize(
    ("asked", "echoed"),
    [
        (None, "auto"),
        ("any", "required"),
        ({"type": "any"}, "required"),
        ({"type": "auto"}, "auto"),
        (NAMED, NAMED),
        (NAMED_IN_CHAT, NAMED),
        ({"type": "tool", "name": "weather"}, NAMED),
        (ALLOWED, ALLOWED),
        ({"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [NAMED_IN_CHAT]}}, ALLOWED),
    ],
)
def test_a_choice_in_any_form_is_echoed_in_that_of_responses(clever_api: Api, asked: Any, echoed: Any) -> None:
    body = respond(clever_api, tools=[TOOL], tool_choice=asked).json()
    strictly(Response, body)
    assert body["tool_choice"] == echoed


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"background": True}, "background"),
        ({"input": []}, "input"),
        ({"input": [{"type": "item_reference", "id": "x"}]}, "input[0].type"),
        ({"input": [{"content": "x"}]}, "input[0].role"),
        ({"input": [{"role": "user", "content": [{"type": "input_image"}]}]}, "input[0].content[0].type"),
        ({"input": [{"type": "function_call", "name": "f"}]}, "input[0]"),
        ({"input": [{"type": "function_call_output", "call_id": "x", "output": ""}]}, "input[0].call_id"),
        ({"input": [{"type": "function_call_output", "output": ""}]}, "input[0].call_id"),
        ({"input": [CALL_ITEM, CALL_ITEM]}, "input[1]"),
        ({"input": [{"role": "user", "content": "x"}, CALL_ITEM, RESULT_ITEM, RESULT_ITEM]}, "input[3].call_id"),
        ({"tools": [TOOL, TOOL]}, "tools[1].name"),
        ({"tool_choice": {"type": "function", "name": "no"}}, "tool_choice"),
        ({"text": {"format": {"type": "json_schema", "name": "x"}}}, "text.format.schema"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
    ],
)
def test_bad_field_is_400_with_its_path(scripted_api: Api, fields: dict[str, Any], param: str) -> None:
    response = respond(scripted_api, **fields)
    assert response.status_code == 400
    assert response.json()["error"]["param"] == param


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("middle", [[Delta("Hel")], [*CALL[:2]], CALL, []])
def test_what_the_limit_cuts_is_incomplete_in_its_last_item(middle: list[Event], stream: bool) -> None:
    with running_api(LoggedEngine(middle, reason="length")) as api:
        response = respond(api, tools=[TOOL], stream=stream)
    body = events_of(response)[-1]["response"] if stream else response.json()
    assert strictly(Response, body).status == "incomplete"
    assert [item["status"] for item in body["output"]] == ["completed"] * (len(body["output"]) - 1) + ["incomplete"]


@pytest.mark.parametrize(
    ("chat", "own"),
    [
        ("response_format", "text.format"),
        ("tools[3].function.parameters", "tools[3].parameters"),
        ("max_tokens", "max_output_tokens"),
        ("messages", "input"),
        ("logit_bias", "logit_bias"),
    ],
)
def test_what_an_engine_refuses_is_called_as_it_is_here(chat: str, own: str) -> None:
    with running_api(Refusing(RequestError("No.", param=chat))) as api:
        assert respond(api).json()["error"]["param"] == own


@pytest.mark.parametrize(
    ("failure", "code", "meant"),
    [
        (OutOfDeviceMemory("No memory."), "out_of_memory", "server_error"),
        (TooManyRequests("Full.", retry_after_s=1), "rate_limit_exceeded", "rate_limit_exceeded"),
    ],
)
def test_a_failure_in_mid_stream_is_told_by_both_events_and_the_end_mark(
    failure: AppError, code: str, meant: str
) -> None:
    """Codex reads response.failed alone: without it the sentence was lost, and it said that the stream had closed."""
    with running_api(ScriptedEngine(Script(error=failure, error_at=2))) as api:
        response = respond(api, stream=True)
    *_, error, ended = [strictly(ResponseStreamEvent, event) for event in events_of(response)]
    assert (error.type, error.code, error.message) == ("error", code, str(failure))
    assert (ended.type, ended.response.status) == ("response.failed", "failed")
    assert (ended.response.error.code, ended.response.error.message) == (meant, str(failure))
    assert ended.sequence_number == error.sequence_number + 1
    assert response.text.endswith("data: [DONE]\n\n")


@pytest.mark.parametrize("stream", [False, True])
def test_what_is_refused_in_the_middle_is_called_as_it_is_here(stream: bool) -> None:
    refusal = RequestError("Allow more tokens.", param="max_tokens")
    with running_api(ScriptedEngine(Script(error=refusal, error_at=0))) as api:
        response = respond(api, stream=stream)
    error = events_of(response)[-2] if stream else response.json()["error"]
    assert (error["param"], error["message"]) == ("max_output_tokens", "Allow more tokens.")


class Refusing(ScriptedEngine):
    """Takes nothing."""

    def __init__(self, refusal: RequestError) -> None:
        super().__init__()
        self.refusal = refusal

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[Event, None]:
        yield Failed(self.refusal)


def test_a_refused_schema_is_named_as_this_endpoint_names_it() -> None:
    form = {"format": {"type": "json_schema", "name": "x", "schema": {"not": {}}, "strict": True}}
    refusal = SchemaError("The schema keyword not at / cannot be enforced.", pointer="/not")
    with running_api(Refusing(refusal)) as api:
        response = respond(api, text=form)
    assert response.status_code == 400
    assert response.json()["error"]["param"] == "text.format"


@pytest.mark.parametrize("stream", [False, True])
def test_logprobs(stream: bool) -> None:
    tokens = [byte_token(byte) for byte in (b"H", b"i")]
    engine = LoggedEngine([Delta(token.text, (token.token_id,), (token,)) for token in tokens])
    with running_api(engine) as api:
        response = respond(api, stream=stream, top_logprobs=2)
    body = events_of(response)[-1]["response"] if stream else response.json()
    part = strictly(Response, body).output[0].content[0]
    assert [one.token for one in part.logprobs] == ["H", "i"]
    assert engine.requests[0].sampling.top_logprobs == 2


def test_truncation_is_reported_in_a_header() -> None:
    engine = ScriptedEngine(context_tokens=100)
    items = [{"role": role, "content": "word " * 20} for _ in range(10) for role in ("user", "assistant")]
    with running_api(engine) as api:
        response = respond(api, input=[*items, {"role": "user", "content": "Last"}], truncation="auto")
    assert int(response.headers["x-truncated-messages"]) == 21 - len(engine.requests[0].messages)
