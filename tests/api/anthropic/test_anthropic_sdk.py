"""The anthropic SDK as people use it, and requests such as Claude Code sends."""

from __future__ import annotations

import asyncio
from typing import Any

import anthropic
import pytest
from anthropic import beta_tool
from anthropic.types import Message, MessageTokensCount, RawMessageStreamEvent
from pydantic import BaseModel

from qwen_app.errors import TooManyRequests
from qwen_app.testing.scripted_engine import Script, ScriptedEngine
from tests.api.anthropic.claude_sdk import MESSAGES, WEATHER, ask, claude_sdk, named_events
from tests.api.clever import GREETING
from tests.api.sdk import strictly
from tests.api.serving import Api, running_api

pytestmark = pytest.mark.slow  # the package takes longer to import than its tests to run


class City(BaseModel):
    name: str
    inhabitants: int


def claude_code_tools(count: int) -> list[Any]:
    """Tools as coding agents have them: many, with every keyword of JSON Schema that their servers write."""
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "path": {"type": "string", "format": "uri", "description": "absolute, never relative " * 4},
            "edits": {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/edit"}},
            "timeout": {"anyOf": [{"type": "number", "exclusiveMinimum": 0}, {"type": "null"}], "default": None},
            "mode": {"anyOf": [{"const": "read"}, {"const": "write"}, {"type": "object", "propertyNames": {}}]},
        },
        "required": ["path"],
        "$defs": {"edit": {"type": "object", "properties": {"old": {"type": "string"}, "all": {"type": "boolean"}}}},
    }
    return [
        {
            "name": f"mcp__server_{number}__a_rather_long_name_of_a_tool_that_somebody_chose",
            "description": "Does something with a file.",
            "input_schema": schema,
            "cache_control": {"type": "ephemeral"},
            "eager_input_streaming": True,
        }
        for number in range(count)
    ]


def test_bodies_fit_the_sdks_types(scripted_api: Api) -> None:
    message = strictly(Message, scripted_api.post(MESSAGES, ask()).json())
    assert message.content[0].text == "Hello, world."
    for _, data in named_events(scripted_api.post(MESSAGES, ask(stream=True))):
        if data["type"] != "ping":
            strictly(RawMessageStreamEvent, data)
    question = {"model": "default", "messages": [{"role": "user", "content": "two words"}]}
    counted = scripted_api.post(f"{MESSAGES}/count_tokens", question).json()
    assert strictly(MessageTokensCount, counted).input_tokens == 6


def test_a_call_its_result_and_the_answer(clever_api: Api) -> None:
    with claude_sdk(clever_api) as client:
        asked: Any = {"model": "default", "max_tokens": 99, "tools": [WEATHER]}
        first = client.messages.create(messages=[{"role": "user", "content": "Weather?"}], **asked)
        call = first.content[0]
        assert (first.stop_reason, call.type) == ("tool_use", "tool_use")
        assert isinstance(call, anthropic.types.ToolUseBlock)
        assert (call.name, call.input) == ("get_weather", {"city": GREETING})
        result: Any = {"type": "tool_result", "tool_use_id": call.id, "content": "Rain."}
        history: Any = [
            {"role": "user", "content": "Weather?"},
            {"role": "assistant", "content": first.content},
            {"role": "user", "content": [result]},
        ]
        second = client.messages.create(messages=history, **asked)
    assert isinstance(second.content[0], anthropic.types.TextBlock)
    assert (second.stop_reason, second.content[0].text) == ("end_turn", "It is what the tool says.")


def test_the_stream_helper_collects_text_and_calls(clever_api: Api, scripted_api: Api) -> None:
    with claude_sdk(scripted_api) as client, client.messages.stream(**ask()) as stream:
        assert "".join(stream.text_stream) == "Hello, world."
        assert stream.get_final_message().usage.output_tokens == 4
        assert stream.request_id
    with claude_sdk(clever_api) as client, client.messages.stream(**ask(tools=[WEATHER])) as stream:
        kinds = [event.type for event in stream]
        final = stream.get_final_message()
    assert "input_json" in kinds
    assert isinstance(final.content[0], anthropic.types.ToolUseBlock)
    assert final.content[0].input == {"city": GREETING}


def test_async_whole_streamed_and_counted(scripted_api: Api) -> None:
    async def talk() -> tuple[Any, str, int]:
        async with anthropic.AsyncAnthropic(base_url=scripted_api.url, api_key="none") as client:
            whole = await client.messages.create(**ask())
            async with client.messages.stream(**ask()) as stream:
                text = "".join([piece async for piece in stream.text_stream])
            counted = await client.messages.count_tokens(model="default", messages=ask()["messages"])
        return whole, text, counted.input_tokens

    whole, text, counted_tokens = asyncio.run(talk())
    assert whole.content[0].text == text == "Hello, world."
    assert counted_tokens == whole.usage.input_tokens


@pytest.mark.parametrize("stream", [False, True])
def test_the_tool_runner_runs_to_the_end(clever_api: Api, stream: bool) -> None:
    asked = []

    @beta_tool
    def get_weather(city: str) -> str:
        """The weather.

        Args:
            city: where
        """
        asked.append(city)
        return "Rain."

    with claude_sdk(clever_api) as client:
        runner: Any = client.beta.messages.tool_runner(**ask(tools=[get_weather]), stream=stream)
        answers = [answer.get_final_message() if stream else answer for answer in runner]
    assert asked == [GREETING]
    assert answers[-1].content[0].text == "It is what the tool says."


def test_parse_returns_the_object(clever_api: Api) -> None:
    with claude_sdk(clever_api) as client:
        answer = client.messages.parse(**ask("A city."), output_format=City)
    assert answer.parsed_output == City(name=GREETING, inhabitants=3)


def test_models_are_listed_and_found(scripted_api: Api) -> None:
    with claude_sdk(scripted_api) as client:
        (listed,) = client.models.list(limit=1000)
        assert (listed.id, listed.type, listed.max_input_tokens) == ("scripted", "model", 8192)
        assert client.models.retrieve("default").id == "scripted"


def test_a_wrong_base_url_is_told(scripted_api: Api) -> None:
    named = pytest.raises(anthropic.NotFoundError, match=f"base URL is {scripted_api.url}")
    with claude_sdk(scripted_api, base_url=f"{scripted_api.url}/v1") as client, named:
        client.messages.create(**ask())


def test_errors_are_the_sdks_own(scripted_api: Api) -> None:
    with claude_sdk(scripted_api) as client:
        with pytest.raises(anthropic.NotFoundError):
            client.messages.create(**ask() | {"model": "claude-opus-9"})
        with pytest.raises(anthropic.BadRequestError, match="prompt is too long"):
            client.messages.create(**ask("word " * 9000))
    full = ScriptedEngine(Script(error=TooManyRequests("Full.", retry_after_s=1)))
    with running_api(full, api_keys="secret") as api:
        with claude_sdk(api, api_key="wrong") as client, pytest.raises(anthropic.AuthenticationError):
            client.messages.create(**ask())
        with claude_sdk(api, api_key="secret") as client, pytest.raises(anthropic.RateLimitError) as refused:
            client.messages.create(**ask())
        with claude_sdk(api, api_key=None, auth_token="secret") as client, pytest.raises(anthropic.RateLimitError):
            client.messages.create(**ask())
    assert refused.value.request_id == refused.value.response.headers["x-request-id"]


def test_a_coding_agents_request(scripted_api: Api) -> None:
    cached: Any = {"cache_control": {"type": "ephemeral"}}
    body = {
        "model": "default",
        "max_tokens": 32_000,
        "stream": True,
        "temperature": 1,
        "system": [
            {"type": "text", "text": "x-anthropic-billing-header: cch=2"},
            {"type": "text", "text": "Be"},
        ],
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "<system-reminder>x</system-reminder>", **cached}]}
        ],
        "tools": claude_code_tools(300),
        "thinking": {"type": "adaptive"},
        "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
        "output_config": {"effort": "medium"},
        "metadata": {"user_id": '{"device_id": "x", "session_id": "y"}'},
    }
    headers = {
        "anthropic-version": "2023-06-01",
        "anthropic-beta": "claude-code-20250219,interleaved-thinking-2025-05-14",
        "anthropic-dangerous-direct-browser-access": "true",
        "authorization": "Bearer anything",
        "user-agent": "claude-cli/2.0 (external, cli)",
    }
    events = named_events(scripted_api.post(f"{MESSAGES}?beta=true", body, headers=headers))
    assert events[-1][0] == "message_stop"


def test_real_calls_of_odd_schemas(builtin_api: Api) -> None:
    """On the model itself: every tool list is taken, and a forced call is made and parses."""
    tools = [WEATHER, *(tool | {"name": f"tool_{number}"} for number, tool in enumerate(claude_code_tools(2)))]
    body = ask("Read /a.txt", tools=tools, max_tokens=120, temperature=0)
    assert builtin_api.post(MESSAGES, body).status_code == 200
    forced = builtin_api.post(MESSAGES, body | {"tool_choice": {"type": "tool", "name": "get_weather"}}).json()
    (block,) = forced["content"]
    assert (block["name"], "city" in block["input"]) == ("get_weather", True)
    assert forced["stop_reason"] == "tool_use"
