"""Every field that clients are known to send: done, refused by name, or a hint that is ignored and counted."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from qwen_app.api.anthropic.message_request import MessagesRequest
from qwen_app.api.endpoints.completions import CompletionRequest
from qwen_app.api.endpoints.responses_input import ResponsesRequest
from qwen_app.api.protocol.request_bodies import CONVERSATIONS, OTHER_LIMITS, Body, ChatRequest
from qwen_app.messages import (
    GenerationRequest,
    JsonObject,
    JsonSchema,
    Message,
    Regex,
    StringChoice,
    TemplateOptions,
    Tool,
    ToolCall,
    ToolChoice,
)
from qwen_app.testing.scripted_engine import ScriptedEngine
from tests.api.anthropic.claude_sdk import ask
from tests.api.sdk import events_of
from tests.api.serving import Api, running_api

CHAT, COMPLETIONS, RESPONSES = "/v1/chat/completions", "/v1/completions", "/v1/responses"
MESSAGES, TOKENIZE = "/v1/messages", "/tokenize"
USER = [{"role": "user", "content": "Hi"}]
REQUIRED: dict[str, dict[str, Any]] = {
    CHAT: {"messages": USER},
    COMPLETIONS: {"prompt": "Hi"},
    RESPONSES: {"input": "Hi"},
}
BARE: dict[str, dict[str, Any]] = {**REQUIRED, MESSAGES: ask(), TOKENIZE: {"messages": USER}}
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}}
HELD = JsonSchema(SCHEMA)  # what is not strict is tried as if it were, first
FUNCTION = {"name": "f", "parameters": SCHEMA}
TOOL = {"type": "function", "function": FUNCTION}
FLAT = {"type": "function", **FUNCTION}
OTHER = {"type": "function", "function": {"name": "g"}}


@pytest.fixture(scope="module")
def engine() -> ScriptedEngine:
    return ScriptedEngine()


@pytest.fixture(scope="module")
def api(engine: ScriptedEngine) -> Iterator[Api]:
    with running_api(engine) as api:
        yield api


def send(api: Api, path: str, **fields: Any) -> httpx.Response:
    return api.post(path, BARE[path] | fields)


def sampling(name: str) -> Callable[[GenerationRequest], object]:
    return lambda request: getattr(request.sampling, name)


def grammar(request: GenerationRequest) -> object:
    return request.grammar


EVERYWHERE: list[tuple[dict[str, Any], Callable[[GenerationRequest], object], object]] = [
    ({"model": None}, sampling("min_tokens"), 0),
    ({"logit_bias": {"7": -100, "9": 1.5}}, sampling("logit_bias"), ((7, -100), (9, 1.5))),
    ({"min_tokens": 3}, sampling("min_tokens"), 3),
    ({"ignore_eos": True}, sampling("ignore_eos"), True),
    ({"stop_token_ids": [5, 6]}, sampling("stop_token_ids"), (5, 6)),
    ({"stop": ["x"]}, sampling("stop"), ("x",)),
    ({"repetition_penalty": 1.5}, sampling("repetition_penalty"), 1.5),
    ({"repeat_penalty": 1.5}, sampling("repetition_penalty"), 1.5),
    ({"top_k": 3, "min_p": 0.5, "seed": 4}, sampling("top_k"), 3),
]
FORMATS: list[tuple[dict[str, Any], object]] = [
    ({"response_format": {"type": "json_object"}}, JsonObject()),
    ({"response_format": {"type": "json_object", "schema": SCHEMA}}, HELD),
    ({"response_format": {"type": "json_schema", "schema": SCHEMA}}, HELD),
    ({"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}}}, HELD),
    ({"structured_outputs": {"json": SCHEMA}}, HELD),
    ({"structured_outputs": {"json": '{"type": "object", "properties": {"a": {"type": "integer"}}}'}}, HELD),
    ({"structured_outputs": {"json_object": True}}, JsonObject()),
    ({"structured_outputs": {"regex": "[ab]+"}}, Regex("[ab]+")),
    ({"structured_outputs": {"choice": ["yes", "no"]}}, StringChoice(("yes", "no"))),
    ({"guided_json": SCHEMA}, HELD),
    ({"guided_regex": "[ab]+"}, Regex("[ab]+")),
    ({"guided_choice": ["yes", "no"]}, StringChoice(("yes", "no"))),
    ({"json_schema": SCHEMA}, HELD),
]
DONE = [(path, *row) for path in REQUIRED for row in EVERYWHERE]
DONE += [(path, fields, grammar, held) for path in (CHAT, COMPLETIONS) for fields, held in FORMATS]
DONE += [
    (RESPONSES, {"text": {"format": {"type": "json_schema", "name": "x", "schema": SCHEMA}}}, grammar, HELD),
    (RESPONSES, {"top_logprobs": 2}, sampling("top_logprobs"), 2),
    (COMPLETIONS, {"suffix": "end"}, lambda request: request.suffix, "end"),
    (COMPLETIONS, {"echo": True, "logprobs": 1}, sampling("prompt_logprobs"), True),
    (COMPLETIONS, {"prompt": [1, 2]}, lambda request: request.prompt, (1, 2)),
    (COMPLETIONS, {"max_tokens": 0}, sampling("max_tokens"), 1),
    *[(path, {"close_cut_calls": True}, lambda request: request.close_cut_calls, True) for path in (CHAT, RESPONSES)],
    (CHAT, {"add_generation_prompt": False}, lambda request: request.template, TemplateOptions(open_answer=False)),
    (
        CHAT,
        {"chat_template_kwargs": {"enable_thinking": False}},
        lambda request: request.template,
        TemplateOptions(variables={"enable_thinking": False}),
    ),
    (
        CHAT,
        {"messages": [*USER, {"role": "assistant", "content": "Sure,"}], "continue_final_message": True},
        lambda request: request.template,
        TemplateOptions(continue_final=True),
    ),
    (
        CHAT,
        {"functions": [FUNCTION], "function_call": {"name": "f"}},
        lambda request: (request.tools, request.tool_choice),
        ((Tool("f", "", SCHEMA),), ToolChoice("named", "f", parallel=False)),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("path", "fields", "found", "value"), DONE, ids=[f"{row[0]} {row[1]}" for row in DONE])
def test_done(
    api: Api,
    engine: ScriptedEngine,
    path: str,
    fields: dict[str, Any],
    found: Callable[[GenerationRequest], object],
    value: object,
) -> None:
    response = send(api, path, **fields)
    assert response.status_code == 200, response.text
    assert found(engine.requests[-1]) == value


REFUSED = [
    *[(path, {name: "x"}, name) for path in REQUIRED for name in ("grammar", "guided_grammar", "format", "regex")],
    *[(path, {name: True}, name) for path in REQUIRED for name in ("include_stop_str_in_output", "return_token_ids")],
    *[(path, {"truncate_prompt_tokens": 5}, "truncate_prompt_tokens") for path in REQUIRED],
    *[(path, {"web_search_options": options}, "web_search_options") for path in REQUIRED for options in ({}, {"a": 1})],
    (CHAT, {"echo": True}, "echo"),
    *[(path, {"audio": {"voice": "x"}}, "audio") for path in REQUIRED],
    *[(path, {"prompt_logprobs": count}, "prompt_logprobs") for path in (CHAT, COMPLETIONS) for count in (0, 1)],
    *[(path, {"logit_bias": {"x": 1}}, "logit_bias") for path in REQUIRED],
    *[(path, {"logit_bias": {"1": 101}}, "logit_bias") for path in REQUIRED],
    *[(path, {"structured_outputs": {"grammar": "x"}}, "structured_outputs.grammar") for path in (CHAT, COMPLETIONS)],
    *[(path, {"guided_regex": "a", "json_schema": {}}, "json_schema") for path in (CHAT, COMPLETIONS)],
    *[(path, {"guided_json": "{"}, "guided_json") for path in (CHAT, COMPLETIONS)],
    *[(path, {"guided_choice": []}, "guided_choice") for path in (CHAT, COMPLETIONS)],
    *[(path, {"response_format": {"type": "structural_tag"}}, "response_format.type") for path in (CHAT, COMPLETIONS)],
    *[(path, {"n": 17}, "n") for path in (CHAT, COMPLETIONS)],
    *[(path, {"chat_template": "{{ x }}"}, "chat_template") for path in REQUIRED],
    *[(path, {"documents": [{"text": "x"}]}, "documents") for path in REQUIRED],
    (CHAT, {"response_format": {"type": "text", "schema": SCHEMA}}, "response_format.type"),
    (RESPONSES, {"text": {"format": {"type": "text", "schema": SCHEMA}}}, "text.format.type"),
    (TOKENIZE, {"with_pieces": True}, "with_pieces"),
    (TOKENIZE, {"add_generation_prompt": False}, "add_generation_prompt"),
    (CHAT, {"modalities": ["text", "audio"]}, "modalities"),
    (CHAT, {"suffix": "x"}, "suffix"),
    (CHAT, {"continue_final_message": True}, "continue_final_message"),
    (CHAT, {"continue_final_message": True, "add_generation_prompt": True}, "add_generation_prompt"),
    (CHAT, {"functions": [FUNCTION], "tools": [TOOL]}, "functions"),
    (CHAT, {"tools": [TOOL], "function_call": {"name": "f"}}, "function_call"),
    *[
        (path, {"response_format": {"type": "json_object", "value": SCHEMA}}, "response_format.value")
        for path in (CHAT, COMPLETIONS)
    ],
    (CHAT, {"min_tokens": 5, "max_tokens": 4}, "min_tokens"),
    (COMPLETIONS, {"best_of": 3}, "best_of"),
    (RESPONSES, {"response_format": {"type": "json_object"}}, "response_format"),
    (RESPONSES, {"max_tokens": 5}, "max_tokens"),
    (RESPONSES, {"previous_response_id": "x"}, "previous_response_id"),
    (RESPONSES, {"conversation": "x"}, "conversation"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "fields", "param"), REFUSED, ids=[f"{row[0]} {row[1]}" for row in REFUSED])
def test_refused_by_name(api: Api, path: str, fields: dict[str, Any], param: str) -> None:
    response = send(api, path, **fields)
    assert response.status_code == 400, response.text
    assert response.json()["error"]["param"] == param
    assert response.json()["error"]["message"]


BODIES: dict[str, type[Body]] = {
    CHAT: ChatRequest,
    COMPLETIONS: CompletionRequest,
    RESPONSES: ResponsesRequest,
    MESSAGES: MessagesRequest,
}
ASKED = {  # a value that is no default, for fields whose value is looked at
    "text": {"format": {"type": "json_object"}},
    "output_config": {"format": {"type": "json_schema", "schema": SCHEMA}},
}
# What one of these APIs takes and no answer of another would be missed for.
NOT_MISSED = {
    *("model", "stream", "stream_options", "user", "metadata", "store", "include"),
    *("parallel_tool_calls", "close_cut_calls", "tool_choice", "function_call", "truncation"),
}
OF_ANOTHER = [
    (path, field)
    for path, body in BODIES.items()
    for field in sorted({name for other in BODIES.values() for name in other.model_fields} - NOT_MISSED)
    if field not in body.model_fields
]


@pytest.mark.parametrize(("path", "field"), OF_ANOTHER)
def test_a_field_of_another_api_that_would_be_missed_is_refused_by_name(api: Api, path: str, field: str) -> None:
    response = send(api, path, **{field: ASKED.get(field, "x")})
    assert response.status_code == 400, response.text
    error = response.json()["error"]
    assert error["message"].replace(f"{field}: ", "").startswith(field)
    assert (error["param"] if path != MESSAGES else field).startswith(field)


@pytest.mark.parametrize(("path", "name"), [one for one in OF_ANOTHER if one[1] in CONVERSATIONS])
def test_a_body_for_another_endpoint_is_told_so_and_not_what_it_lacks(api: Api, path: str, name: str) -> None:
    error = api.post(path, {"model": "default", name: "Hi"}).json()["error"]
    assert error["message"].endswith(f"{name} is not supported. {BODIES[path].refused[name]}")


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        (RESPONSES, {"n": 1, "response_format": {"type": "text"}, "logprobs": False, "best_of": 1}),
        (MESSAGES, {"n": 1, "seed": None, "presence_penalty": 0.0, "logit_bias": {}, "stop": []}),
        (COMPLETIONS, {"tools": [], "top_logprobs": 0, "add_generation_prompt": True, "modalities": ["text"]}),
        (CHAT, {"text": {"format": {"type": "text"}, "verbosity": "low"}, "system": "", "echo": False}),
    ],
)
def test_what_another_api_would_do_anyway_is_not_refused(api: Api, path: str, fields: dict[str, Any]) -> None:
    assert send(api, path, **fields).status_code == 200


@pytest.mark.parametrize("name", OTHER_LIMITS)
@pytest.mark.parametrize(
    ("path", "ours"), [(CHAT, "max_tokens"), (COMPLETIONS, "max_tokens"), (RESPONSES, "max_output_tokens")]
)
def test_a_limit_under_another_name_alone_is_refused_and_beside_ours_or_without_a_number_ignored(
    api: Api, path: str, ours: str, name: str
) -> None:
    error = send(api, path, **{name: 5}).json()["error"]
    assert (error["message"], error["param"]) == (f"{name} is not supported. Here the limit is called {ours}.", name)
    for fields in ({name: 5, ours: 100}, {name: -1}, {name: None}):
        assert send(api, path, **fields).status_code == 200


HINTS = {
    "cache_prompt": True, "id_slot": 1, "cache_salt": "x", "priority": 1, "request_id": "x", "prompt_cache_key": "x",
    "safety_identifier": "x", "service_tier": "flex", "prediction": {"type": "content"}, "verbosity": "low",
    "reasoning_effort": "low", "thinking": {"type": "enabled"}, "skip_special_tokens": False, "keep_alive": "5m",
    "num_ctx": 4096, "options": {"num_ctx": 4096}, "guided_decoding_backend": "x",
}  # fmt: skip


@contextmanager
def counted(api: Api, field: str) -> Iterator[None]:
    """``field`` is counted once more, at least, when the block is over."""

    def count() -> float:
        lines = api.request("GET", "/metrics").text.splitlines()
        line = f'qwen_ignored_fields_total{{field="{field}"}} '
        return sum(float(one.removeprefix(line)) for one in lines if one.startswith(line))

    before = count()
    yield
    assert count() > before


@pytest.mark.parametrize("field", HINTS)
def test_hints_are_ignored_and_counted(api: Api, field: str) -> None:
    with counted(api, field):
        for path in REQUIRED:
            assert send(api, path, **{field: HINTS[field]}).status_code == 200


@pytest.mark.parametrize(
    ("path", "fields", "counted_as"),
    [
        (
            CHAT,
            {"stream_options": {"continuous_usage_stats": True}, "stream": True},
            "stream_options.continuous_usage_stats",
        ),
        (RESPONSES, {"text": {"verbosity": "low"}}, "text.verbosity"),
        (CHAT, {"messages": [{"role": "user", "content": "x", "made_up": 1}]}, "other"),
    ],
)
def test_nested_ones_too(api: Api, path: str, fields: dict[str, Any], counted_as: str) -> None:
    with counted(api, counted_as):
        assert send(api, path, **fields).status_code == 200


@pytest.mark.parametrize("path", [CHAT, COMPLETIONS])
@pytest.mark.parametrize(
    ("field", "fields"),
    [
        ("guided_regex", {"guided_regex": "("}),
        ("structured_outputs.regex", {"structured_outputs": {"regex": "(?=a)b"}}),
        (
            "response_format",
            {"response_format": {"type": "json_schema", "json_schema": {"schema": {"type": "x"}, "strict": True}}},
        ),
    ],
)
def test_what_the_engine_refuses_of_a_format_is_called_as_it_was_asked(
    builtin_api: Api, path: str, field: str, fields: dict[str, Any]
) -> None:
    refused = send(builtin_api, path, **fields)
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, field)


def test_what_is_not_wanted_is_not_refused(api: Api) -> None:
    off: dict[str, Any] = {
        "grammar": None,
        "return_token_ids": False,
        "bad_words": [],
        "include_stop_str_in_output": False,
    }
    assert send(api, CHAT, **off, modalities=["text"]).status_code == 200


@pytest.mark.parametrize(
    "field", [{"x": 1}, {"stream_options": {"x": 1}}, {"response_format": {"type": "text", "x": 1}}]
)
def test_strict_api_refuses_unknown_fields_however_deep(field: dict[str, Any]) -> None:
    with running_api(ScriptedEngine(), strict_api=True) as api:
        response = send(api, CHAT, **field)
        assert send(api, CHAT, stream_options={"include_usage": True}, stream=True).status_code == 200
    assert response.status_code == 400
    assert response.json()["error"]["param"].endswith("x")


CODEX = [
    {"type": "web_search"}, {"type": "namespace", "name": "x", "tools": [FLAT]}, {"type": "local_shell"},
    {"type": "custom", "name": "patch", "format": {"type": "grammar", "syntax": "lark"}}, {"type": "image_generation"},
    {"type": "mcp", "server_label": "x"}, {"type": "file_search", "vector_store_ids": []},
]  # fmt: skip


@pytest.mark.parametrize("path", [CHAT, RESPONSES])
def test_tools_that_cannot_run_are_left_out_and_counted(api: Api, engine: ScriptedEngine, path: str) -> None:
    with counted(api, "tools"):
        response = send(api, path, tools=[*CODEX, TOOL if path == CHAT else FLAT])
    assert response.status_code == 200, response.text
    assert [tool.name for tool in engine.requests[-1].tools] == ["f"]
    for choice in ({"type": "web_search"}, "required"):
        refused = send(api, path, tools=CODEX, tool_choice=choice)
        assert refused.status_code == 400
        assert refused.json()["error"]["param"] == "tool_choice"
    assert send(api, path, tools=CODEX).status_code == 200


NAMED = {"type": "function", "function": {"name": "f"}}
FLAT_NAME = {"type": "function", "name": "f"}


@pytest.mark.parametrize(
    ("choice", "names", "meant"),
    [
        ("any", ["f", "g"], ToolChoice("required")),
        ({"type": "any"}, ["f", "g"], ToolChoice("required")),
        ({"type": "auto"}, ["f", "g"], ToolChoice()),
        ({"type": "none"}, ["f", "g"], ToolChoice("none")),
        (FLAT_NAME, ["f", "g"], ToolChoice("named", "f")),
        ({"type": "tool", "name": "f"}, ["f", "g"], ToolChoice("named", "f")),
        ({"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [NAMED]}}, ["f"], ToolChoice()),
        ({"type": "allowed_tools", "mode": "required", "tools": [FLAT_NAME]}, ["f"], ToolChoice("required")),
        ({"type": "allowed_tools", "mode": "auto", "tools": []}, [], ToolChoice("none")),
    ],
)
def test_forms_of_the_choice(
    api: Api, engine: ScriptedEngine, choice: Any, names: list[str], meant: ToolChoice
) -> None:
    assert send(api, CHAT, tools=[TOOL, OTHER], tool_choice=choice).status_code == 200
    assert [tool.name for tool in engine.requests[-1].tools] == names
    assert engine.requests[-1].tool_choice == meant
    gone = send(api, CHAT, tools=[OTHER], tool_choice=choice)
    assert gone.status_code == (400 if '"f"' in json.dumps(choice) else 200)


@pytest.mark.parametrize(("path", "tool"), [(CHAT, FLAT), (RESPONSES, TOOL)])
def test_a_tool_in_the_form_of_the_other_endpoint(
    api: Api, engine: ScriptedEngine, path: str, tool: dict[str, Any]
) -> None:
    assert send(api, path, tools=[tool]).status_code == 200
    assert [(tool.name, tool.parameters) for tool in engine.requests[-1].tools] == [("f", SCHEMA)]


@pytest.mark.parametrize(("path", "param"), [(CHAT, "tools[1].function.name"), (RESPONSES, "tools[1].name")])
def test_a_bad_tool_is_named_by_its_path(api: Api, path: str, param: str) -> None:
    good = TOOL if path == CHAT else FLAT
    bad = {"function": {"name": "a b"}} if path == CHAT else {"name": "a b"}
    refused = send(api, path, tools=[good, {"type": "function", **bad}])
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, param)


def test_strict_is_what_says_so(api: Api, engine: ScriptedEngine) -> None:
    for strict, meant in ((None, False), (False, False), (True, True)):
        send(api, CHAT, tools=[{"type": "function", "function": {**FUNCTION, "strict": strict}}])
        assert engine.requests[-1].tools[0].strict is meant


@pytest.mark.parametrize("stream", [False, True])
def test_functions_are_answered_in_their_own_form(clever_api: Api, stream: bool) -> None:
    response = send(clever_api, CHAT, functions=[FUNCTION], stream=stream)
    bodies = events_of(response) if stream else [response.json()]
    parts = [
        choice.get("delta") or choice["message"]
        for body in bodies
        for choice in body["choices"]
        if choice.get("delta") or choice.get("message")
    ]
    calls = [part["function_call"] for part in parts if "function_call" in part]
    assert "".join(call["arguments"] for call in calls) == '{"a": 3}'
    assert calls[0]["name"] == "f"
    assert not any("tool_calls" in part for part in parts)
    assert bodies[-1]["choices"][0]["finish_reason"] == "function_call"


def test_the_older_form_of_a_call_and_its_result_in_the_history(api: Api, engine: ScriptedEngine) -> None:
    history = [
        *USER,
        {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
        {"role": "function", "name": "f", "content": "22"},
    ]
    assert send(api, CHAT, messages=history, functions=[FUNCTION]).status_code == 200
    assert engine.requests[-1].messages[1:] == (
        Message("assistant", "", (ToolCall("call_1", "f", "{}"),)),
        Message("tool", "22", tool_call_id="call_1"),
    )
