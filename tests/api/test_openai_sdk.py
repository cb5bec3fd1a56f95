"""The openai SDK as people use it: sync, async, ``parse``, stream helpers and error classes, on a real model too."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import openai
import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from pydantic import BaseModel

from qwen_app.errors import AppError, EngineError, EngineUnavailable, OutOfDeviceMemory, TooManyRequests
from qwen_app.messages import GenerationRequest, ToolCallDelta
from qwen_app.testing.scripted_engine import Script, ScriptedEngine
from tests.api.scripts import text_of_chunks
from tests.api.sdk import MESSAGES, events_of, sdk, strictly
from tests.api.serving import Api, running_api

FRANCE: list[Any] = [{"role": "user", "content": "What is the capital of France?"}]


class City(BaseModel):
    name: str
    population: int


class Weather(BaseModel):
    """The weather in a city."""

    city: str


def test_sync(builtin_api: Api) -> None:
    with sdk(builtin_api) as client:
        answer = client.chat.completions.create(model="default", messages=FRANCE, temperature=0, max_tokens=20)
    assert "Paris" in (answer.choices[0].message.content or "")
    assert answer.usage is not None
    assert answer.usage.completion_tokens <= 20
    assert answer._request_id


@pytest.mark.anyio
async def test_async_clients_side_by_side(builtin_api: Api) -> None:
    async with openai.AsyncOpenAI(base_url=f"{builtin_api.url}/v1", api_key="none", max_retries=0) as client:

        async def ask() -> str:
            stream = await client.chat.completions.create(
                model="default", messages=FRANCE, temperature=0, max_tokens=12, stream=True
            )
            return text_of_chunks([chunk async for chunk in stream])

        answers = await asyncio.gather(*(ask() for _ in range(3)))
    assert len(set(answers)) == 1
    assert "Paris" in answers[0]


def test_whole_and_streamed_answers_are_the_same(builtin_api: Api) -> None:
    fields: dict[str, Any] = {"temperature": 0, "max_tokens": 24, "logprobs": True, "top_logprobs": 2}
    whole = strictly(ChatCompletion, builtin_api.chat("Count to five.", **fields).json())
    events = events_of(builtin_api.chat("Count to five.", stream=True, **fields))
    chunks = [strictly(ChatCompletionChunk, event) for event in events]
    assert text_of_chunks(chunks) == whole.choices[0].message.content
    streamed = [t for chunk in chunks for c in chunk.choices if c.logprobs for t in c.logprobs.content or ()]
    assert [t.token for t in streamed] == [t.token for t in whole.choices[0].logprobs.content]
    assert all(t.logprob <= 0 for t in streamed)


def test_seed_repeats_an_answer_and_n_gives_several(builtin_api: Api) -> None:
    fields: dict[str, Any] = {"seed": 11, "temperature": 1.0, "max_tokens": 10, "n": 2}
    first, second = (builtin_api.chat("Name an animal.", **fields).json() for _ in range(2))
    texts = [[choice["message"]["content"] for choice in body["choices"]] for body in (first, second)]
    assert texts[0] == texts[1]
    assert len(texts[0]) == 2


def test_stop_string_ends_the_answer_and_is_not_part_of_it(builtin_api: Api) -> None:
    choice = builtin_api.chat(FRANCE[0]["content"], temperature=0, stop=["Paris"], max_tokens=30).json()["choices"][0]
    assert choice["finish_reason"] == "stop"
    assert "Paris" not in choice["message"]["content"]


def test_parse_returns_the_model_class(builtin_api: Api) -> None:
    with sdk(builtin_api) as client:
        answer = client.chat.completions.parse(
            model="default", messages=FRANCE, response_format=City, temperature=0, max_tokens=200
        )
    assert isinstance(answer.choices[0].message.parsed, City)


def test_parse_tells_of_an_answer_that_was_cut() -> None:
    engine = ScriptedEngine(Script(('{"na',), reason="length"))
    with running_api(engine) as api, sdk(api) as client, pytest.raises(openai.LengthFinishReasonError):
        client.chat.completions.parse(model="default", messages=MESSAGES, response_format=City)


def test_a_cut_answer_is_still_json(builtin_api: Api) -> None:
    body = builtin_api.chat("A city?", response_format={"type": "json_object"}, max_tokens=8, temperature=0).json()
    assert isinstance(json.loads(body["choices"][0]["message"]["content"]), dict)


NOT_THREE = {"type": "object", "properties": {"n": {"type": "integer", "not": {"const": 3}}}, "required": ["n"]}


@pytest.mark.parametrize("stream", [False, True])
def test_a_schema_that_cannot_be_enforced_is_refused_or_checked(builtin_api: Api, stream: bool) -> None:
    def ask(**more: Any) -> httpx.Response:
        form = {"type": "json_schema", "json_schema": {"name": "n", "schema": NOT_THREE, **more}}
        return builtin_api.chat("A number?", response_format=form, temperature=0, max_tokens=60, stream=stream)

    refused = ask(strict=True)
    assert refused.status_code == 400
    assert refused.json()["error"]["param"] == "response_format"
    assert "/properties/n/not" in refused.json()["error"]["message"]
    answered = ask()
    assert answered.status_code == 200
    bodies = events_of(answered) if stream else [answered.json()]
    said = [body["choices"][0].get("delta" if stream else "message") for body in bodies]
    assert isinstance(json.loads("".join(one.get("content") or "" for one in said))["n"], int)


def test_stream_helper_joins_calls() -> None:
    calls = (ToolCallDelta(0, "c1", "Weather"), ToolCallDelta(0, arguments='{"city": "Paris"}'))
    with running_api(ScriptedEngine(Script(("I look.",), calls))) as api, sdk(api) as client:
        tools = [openai.pydantic_function_tool(Weather)]
        with client.chat.completions.stream(model="default", messages=MESSAGES, tools=tools) as stream:
            kinds = {event.type for event in stream}
            message = stream.get_final_completion().choices[0].message
    assert {"content.delta", "content.done", "tool_calls.function.arguments.done"} <= kinds
    assert message.content == "I look."
    assert message.tool_calls
    assert message.tool_calls[0].function.parsed_arguments == Weather(city="Paris")


def test_forced_call_on_a_real_model(builtin_api: Api) -> None:
    with sdk(builtin_api) as client:
        answer = client.chat.completions.create(
            model="default",
            messages=[{"role": "user", "content": "How is the weather in Paris?"}],
            tools=[openai.pydantic_function_tool(Weather)],
            tool_choice="required",
            temperature=0,
            max_tokens=200,
        )
    calls = answer.choices[0].message.tool_calls
    assert calls
    assert calls[0].type == "function"
    assert Weather.model_validate_json(calls[0].function.arguments)


def test_too_long_a_prompt_on_a_real_model(builtin_api: Api) -> None:
    with sdk(builtin_api) as client, pytest.raises(openai.BadRequestError) as refused:
        client.chat.completions.create(model="default", messages=[{"role": "user", "content": "word " * 3000}])
    assert refused.value.code == "context_length_exceeded"
    assert "2048" in refused.value.message


@pytest.mark.parametrize(
    ("failure", "kind", "code"),
    [
        (TooManyRequests("Full."), openai.RateLimitError, "rate_limit_exceeded"),
        (EngineUnavailable("Loading."), openai.InternalServerError, "service_unavailable"),
        (OutOfDeviceMemory("No memory."), openai.InternalServerError, "out_of_memory"),
        (EngineError("Broken."), openai.InternalServerError, None),
    ],
)
def test_error_classes(failure: AppError, kind: type[openai.APIStatusError], code: str | None) -> None:
    engine = ScriptedEngine(Script(error=failure))
    with running_api(engine) as api, sdk(api) as client, pytest.raises(kind) as raised:
        client.chat.completions.create(model="default", messages=MESSAGES)
    assert raised.value.code == code
    assert raised.value.request_id
    assert str(failure) in raised.value.message


def test_keys_and_models_have_their_classes() -> None:
    with running_api(ScriptedEngine(), api_keys="right") as api, sdk(api) as client:
        with pytest.raises(openai.AuthenticationError):
            client.models.list()
        with pytest.raises(openai.NotFoundError):
            client.with_options(api_key="right").models.retrieve("other")


def test_a_failure_in_mid_stream_raises_after_the_text_before_it() -> None:
    script = Script(("a", "b", "c"), error=OutOfDeviceMemory("No memory."), error_at=2)
    with running_api(ScriptedEngine(script)) as api, sdk(api) as client:
        seen: list[ChatCompletionChunk] = []
        with pytest.raises(openai.APIError, match="No memory"):
            seen.extend(client.chat.completions.create(model="default", messages=MESSAGES, stream=True))


@pytest.mark.parametrize(("failure", "tries"), [(EngineUnavailable("Loading."), 2), (EngineError("Broken."), 1)])
def test_the_sdk_tries_again_only_where_that_helps(failure: AppError, tries: int) -> None:
    failure.retry_after_s = 0.01  # type: ignore[attr-defined]
    engine = ScriptedEngine(Script(error=failure))
    with running_api(engine) as api, sdk(api) as client, pytest.raises(openai.InternalServerError):
        client.with_options(max_retries=1).chat.completions.create(model="default", messages=MESSAGES)
    assert len(engine.requests) == tries


def test_leaving_a_stream_early_stops_the_engine() -> None:
    def endless(request: GenerationRequest) -> Script:
        return Script(("w ",) * (5000 if request.sampling.max_tokens is None else 1), token_s=0.01)

    engine = ScriptedEngine(endless)
    with running_api(engine) as api, sdk(api) as client:
        with client.chat.completions.create(model="default", messages=MESSAGES, stream=True) as stream:
            next(iter(stream))
        client.chat.completions.create(model="default", messages=MESSAGES, max_tokens=1)
    assert engine.tokens_made < 500
