"""Every error has OpenAI's shape, the right status and the right param."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from qwen_app.api.protocol.api_error import json_path
from qwen_app.errors import (
    AppError,
    EngineError,
    EngineUnavailable,
    OutOfDeviceMemory,
    SchemaNotMet,
    TooManyRequests,
    UpstreamError,
)
from qwen_app.testing.scripted_engine import Script, ScriptedEngine
from tests.api.serving import CHAT, Api, running_api

JSON = {"content-type": "application/json"}


def error_of(response: httpx.Response) -> dict[str, Any]:
    body = response.json()
    assert set(body) == {"error"}
    assert set(body["error"]) == {"message", "type", "param", "code"}
    assert body["error"]["message"]
    assert response.headers["x-request-id"]
    return dict(body["error"])


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "wizard", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": 5}]}]}, "messages[0].content[0].text"),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages[0].content[0].text"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]},
            "messages[0].content[0].type",
        ),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].tool_call_id"),
        ({"messages": [{"role": "tool", "content": "x", "tool_call_id": "no"}]}, "messages[0].tool_call_id"),
        ({"temperature": 2.5}, "temperature"),
        ({"temperature": "hot"}, "temperature"),
        ({"top_p": -0.1}, "top_p"),
        ({"n": 17}, "n"),
        ({"n": 10**9}, "n"),
        ({"n": True}, "n"),
        ({"seed": 2**70}, "seed"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_completion_tokens": 1.5}, "max_completion_tokens"),
        ({"stop": ["x"] * 10_000}, "stop"),
        ({"stop": ["x"] * 17}, "stop"),
        ({"stop": [""]}, "stop[0]"),
        ({"top_logprobs": 3}, "top_logprobs"),
        ({"top_logprobs": 21, "logprobs": True}, "top_logprobs"),
        ({"response_format": {"type": "xml"}}, "response_format.type"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema.schema"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tool_choice": {"type": "function", "function": {"name": "f"}}}, "tool_choice"),
        ({"tools": [{"type": "function", "function": {"name": "bad name"}}]}, "tools[0].function.name"),
        ({"tools": [{"type": "function", "function": {"name": "f"}}] * 2}, "tools[1].function.name"),
    ],
)
def test_bad_field_is_400_with_its_path(scripted_api: Api, fields: dict[str, Any], param: str) -> None:
    response = scripted_api.chat(**fields)
    error = error_of(response)
    assert (response.status_code, error["type"], error["param"]) == (400, "invalid_request_error", param)


@pytest.mark.parametrize(
    ("fields", "param", "told"),
    [
        ({"messages": ["Hi"]}, "messages[0]", "Input should be an object"),
        ({"logit_bias": []}, "logit_bias", "Input should be an object"),
        ({"stream_options": 1}, "stream_options", "Input should be an object"),
        ({"stream": "yes"}, "stream", "Input should be true or false"),
        ({"messages": []}, "messages", "It is empty"),
        ({"messages": [{}]}, "messages[0].role", "It is missing"),
    ],
)
def test_what_is_wrong_is_told_in_jsons_terms(scripted_api: Api, fields: dict[str, Any], param: str, told: str) -> None:
    error = error_of(scripted_api.chat(**fields))
    assert error["message"] == f"Invalid value for '{param}': {told}"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (5, "Input should be a valid string, or a valid list"),
        ({"type": "text", "text": "Hi"}, "Input should be a valid string, or a valid list"),
        ([{"type": "text", "text": "Hi"}] * 1001, "At most 1,000 items, not 1,001"),
    ],
)
def test_a_value_of_several_kinds_is_told_all_of_them_or_what_is_wrong_within(
    scripted_api: Api, content: Any, told: str
) -> None:
    error = error_of(scripted_api.chat(content))
    assert error["message"] == f"Invalid value for 'messages[0].content': {told}"


def test_missing_field_is_named(scripted_api: Api) -> None:
    error = error_of(scripted_api.post(CHAT, {"model": "default"}))
    assert error["param"] == "messages"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"text"',
        b'{"model": NaN',
        b'{"model": "default", "messages": [{"role": "user", "content": "x"}], "temperature": NaN}',
        b'{"model": "default", "messages": [{"role": "user", "content": "x"}], "temperature": 1e999}',
        b'{"seed": ' + b"9" * 5000 + b"}",
        b'{"a": ' * 10_000 + b"1" + b"}" * 10_000,
        b'{"model": "default", "x": ' + b"[" * 600 + b"]" * 600 + b"}",
        b"\xff\xfe\x00",
    ],
)
def test_bad_body_is_400(scripted_api: Api, content: bytes) -> None:
    response = scripted_api.request("POST", CHAT, content=content, headers=JSON)
    assert response.status_code == 400
    assert error_of(response)["type"] == "invalid_request_error"


@pytest.mark.parametrize("content", ['{"model": "über"}'.encode("latin-1"), '{"model": "你"}'.encode("gb18030")])
def test_a_body_in_another_encoding_is_told_which_one_to_send(scripted_api: Api, content: bytes) -> None:
    response = scripted_api.request("POST", CHAT, content=content, headers=JSON)
    assert response.status_code == 400
    assert error_of(response)["message"] == "The body is not in UTF-8, as its byte 11 shows. Send it in UTF-8."


def test_body_of_another_kind_is_400_and_says_which_kind_is_meant(scripted_api: Api) -> None:
    response = scripted_api.request("POST", CHAT, content=b"{}", headers={"content-type": "text/plain"})
    assert response.status_code == 400
    assert "application/json" in error_of(response)["message"]


@pytest.mark.parametrize("announced", [True, False])
def test_body_over_the_limit_is_413(scripted_api: Api, announced: bool) -> None:
    body = b'{"model": "' + b"x" * 5_000_000 + b'"}'
    content = body if announced else iter([body[start : start + 65536] for start in range(0, len(body), 65536)])
    response = scripted_api.request("POST", CHAT, content=content, headers=JSON)
    assert response.status_code == 413
    assert error_of(response)["type"] == "invalid_request_error"


@pytest.mark.parametrize("path", ["/v1", "/v1/", "/v1/nothing", "/v1/chat", "/v1/models/no/such"])
def test_unknown_path_is_404(scripted_api: Api, path: str) -> None:
    response = scripted_api.request("GET", path)
    assert response.status_code == 404
    error_of(response)


@pytest.mark.parametrize(("method", "path", "allow"), [("GET", CHAT, "POST"), ("DELETE", "/v1/models", "GET, HEAD")])
def test_wrong_method_is_405_with_allow(scripted_api: Api, method: str, path: str, allow: str) -> None:
    response = scripted_api.request(method, path)
    assert (response.status_code, response.headers["allow"]) == (405, allow)
    error_of(response)


HELLO = json.dumps({"model": "default", "messages": [{"role": "user", "content": "Hi"}]}).encode()


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [("gzip", gzip.compress), ("deflate", zlib.compress), ("GZIP", gzip.compress), ("x-gzip", gzip.compress)],
)
def test_compressed_bodies_are_read(scripted_api: Api, encoding: str, pack: Callable[[bytes], bytes]) -> None:
    headers = {**JSON, "content-encoding": encoding}
    assert scripted_api.request("POST", CHAT, content=pack(HELLO), headers=headers).status_code == 200


@pytest.mark.parametrize(
    ("encoding", "body", "status"),
    [
        ("br", HELLO, 415),
        ("gzip", HELLO, 400),
        ("gzip", gzip.compress(HELLO, mtime=0)[:-9], 400),
        ("gzip", gzip.compress(HELLO, mtime=0) + gzip.compress(b" ", mtime=0), 400),
        ("deflate", zlib.compress(HELLO) + b"more", 400),
        ("gzip, br", gzip.compress(HELLO, mtime=0), 415),
        ("gzip", gzip.compress(b" " * 40_000_000 + HELLO, mtime=0), 413),
    ],
)
def test_what_cannot_be_unpacked_is_refused(scripted_api: Api, encoding: str, body: bytes, status: int) -> None:
    response = scripted_api.request("POST", CHAT, content=body, headers={**JSON, "content-encoding": encoding})
    assert response.status_code == status
    assert error_of(response)["type"] == "invalid_request_error"


def test_unknown_model_is_404(scripted_api: Api) -> None:
    response = scripted_api.chat(model="gpt-17")
    error = error_of(response)
    assert (response.status_code, error["code"], error["param"]) == (404, "model_not_found", "model")


def test_too_long_a_prompt_says_both_numbers(scripted_api: Api) -> None:
    response = scripted_api.chat("word " * 9000, max_tokens=100)
    error = error_of(response)
    assert (response.status_code, error["code"], error["param"]) == (400, "context_length_exceeded", "messages")
    assert error["message"].startswith("This model's maximum context length is 8192 tokens. However, ")
    assert "9004" in error["message"]


@pytest.mark.parametrize(
    ("failure", "status", "kind", "code"),
    [
        (TooManyRequests("Full.", retry_after_s=7), 429, "rate_limit_error", "rate_limit_exceeded"),
        (EngineUnavailable("Loading."), 503, "server_error", "service_unavailable"),
        (OutOfDeviceMemory("No memory."), 503, "server_error", "out_of_memory"),
        (UpstreamError("Gone."), 502, "server_error", "upstream_error"),
        (SchemaNotMet("Too short."), 422, "invalid_request_error", "schema_not_met"),
        (EngineError("Broken."), 500, "server_error", None),
    ],
)
def test_engine_failure_has_its_status(failure: AppError, status: int, kind: str, code: str | None) -> None:
    with running_api(ScriptedEngine(Script(error=failure))) as api:
        response = api.chat()
    error = error_of(response)
    assert (response.status_code, error["type"], error["code"]) == (status, kind, code)
    assert error["message"] == str(failure)
    assert ("retry-after" in response.headers) == (status in (429, 503))
    assert (response.headers.get("x-should-retry") == "false") == (status == 500)


def test_an_unforeseen_exception_is_a_500_that_tells_nothing(caplog: pytest.LogCaptureFixture) -> None:
    def broken(request: object) -> Script:
        raise RuntimeError("secret detail")

    with running_api(ScriptedEngine(broken)) as api:
        response = api.chat()
    assert response.status_code == 500
    assert response.headers["x-should-retry"] == "false"
    assert "secret" not in error_of(response)["message"]
    assert "secret detail" in caplog.text
    assert response.headers["x-request-id"] in caplog.text


def test_unknown_fields_are_ignored_and_counted(scripted_api: Api) -> None:
    assert scripted_api.chat(service_tier="flex", made_up_field=1).status_code == 200
    metrics = scripted_api.request("GET", "/metrics").text
    assert 'qwen_ignored_fields_total{field="service_tier"}' in metrics
    assert 'qwen_ignored_fields_total{field="other"}' in metrics
    assert "made_up_field" not in metrics


def test_strict_api_refuses_unknown_fields() -> None:
    with running_api(ScriptedEngine(), strict_api=True) as api:
        response = api.chat(made_up_field=1)
    assert response.status_code == 400
    assert error_of(response)["param"] == "made_up_field"


def test_json_path_leaves_out_names_of_union_members() -> None:
    body = {"messages": [{"content": [{"text": 5}]}]}
    wrong: Any = {"type": "string_type", "loc": ("body", "messages", 0, "content", "list[ContentPart]", 0, "text")}
    assert json_path(wrong, body) == "messages[0].content[0].text"
    missing: Any = {"type": "missing", "loc": ("body", "messages", 0, "role")}
    assert json_path(missing, body) == "messages[0].role"


@pytest.mark.parametrize("path", ["/v1/models/a%0Ab", "/v1/models/a%0D%0A", "/v1/no%0Asuch%0Apath"])
def test_a_line_break_in_a_path_leads_nowhere_else(scripted_api: Api, path: str) -> None:
    response = httpx.get(scripted_api.url + path)
    assert response.status_code == 404
    assert response.json()["error"]["type"] == "invalid_request_error"
    assert response.headers["x-request-id"]
