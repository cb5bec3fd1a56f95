"""Each kind of server, with its gaps: found out, spoken to in its own way, its errors understood."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from qwen_app.engine.remote import RemoteEngine
from qwen_app.errors import ContextLengthExceeded, RequestError, SchemaError, UpstreamError
from qwen_app.messages import (
    Failed,
    Finished,
    GrammarSpec,
    JsonObject,
    JsonSchema,
    Message,
    Prefill,
    Regex,
    StringChoice,
    Tool,
    ToolChoice,
)
from tests.engine.contract import ask, check_shape, collect, text_of
from tests.engine.remote.engines import answer, engine_on, refusal
from tests.engine.remote.fake_servers import (
    CONTEXT_TOKENS,
    FAKE_SERVERS,
    SENTENCE,
    FakeServer,
    LlamaCpp,
    LmStudio,
    Ollama,
    Sglang,
    Tgi,
    Transformers,
    Vllm,
    WebUi,
)
from tests.engine.remote.upstream import Reply, Request, Upstream

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
AS_SCHEMA = JsonSchema(SCHEMA)
AS_OBJECT = JsonObject()
CLOCK, WEATHER = Tool("clock", "Tells the time."), Tool("weather", "Tells the weather.")
TOLD_CONTEXT = tuple(kind for kind in FAKE_SERVERS if kind not in (WebUi, Transformers))

every_server = pytest.mark.parametrize("kind", FAKE_SERVERS, ids=lambda kind: kind.__name__)


@every_server
@pytest.mark.anyio
async def test_found_out_and_spoken_to(kind: type[FakeServer]) -> None:
    server = kind()
    async with engine_on(server) as engine:
        events = await collect(engine, ask("The capital of France?"))
        info = engine.info()
    last = check_shape(events)
    assert isinstance(last, Finished)
    assert last.reason == "stop"
    assert text_of(events) == "".join(SENTENCE)
    assert server.name in info.device
    assert info.model == "tiny"
    assert last.usage.prompt_tokens > 0
    assert last.usage.completion_tokens > 0


@pytest.mark.parametrize("kind", TOLD_CONTEXT, ids=lambda kind: kind.__name__)
@pytest.mark.anyio
async def test_context_is_learned(kind: type[FakeServer]) -> None:
    async with engine_on(kind()) as engine:
        await collect(engine, ask())
        assert engine.info().context_tokens == CONTEXT_TOKENS


@pytest.mark.parametrize("kind", TOLD_CONTEXT, ids=lambda kind: kind.__name__)
@pytest.mark.anyio
async def test_over_long_prompt_tells_both_numbers(kind: type[FakeServer]) -> None:
    error = await refusal(kind(), ask("word " * 300, max_tokens=10))
    assert isinstance(error, ContextLengthExceeded)
    assert error.limit_tokens == CONTEXT_TOKENS
    assert error.prompt_tokens > CONTEXT_TOKENS


@every_server
@pytest.mark.anyio
async def test_wrong_key_is_said_to_the_operator(kind: type[FakeServer]) -> None:
    server = kind(key="right")
    async with engine_on(server, api_key="wrong-secret") as engine:
        events = await collect(engine, ask())
        health = engine.health()
    last = check_shape(events)
    assert isinstance(last, Failed)
    assert last.error.http_status in (502, 503)
    assert "--api-key" in last.error.message
    assert "wrong-secret" not in last.error.message
    assert not health.ready


@every_server
@pytest.mark.anyio
async def test_right_key_is_sent(kind: type[FakeServer]) -> None:
    async with engine_on(kind(key="right"), api_key="right") as engine:
        assert isinstance(check_shape(await collect(engine, ask())), Finished)


@every_server
@pytest.mark.anyio
async def test_counts_are_exact_or_said_to_be_estimates(kind: type[FakeServer]) -> None:
    async with engine_on(kind()) as engine:
        (counted,) = await engine.count_tokens([[Message("user", "one two three")]])
        info = engine.info()
    assert counted > 0
    if info.exact_counts:
        assert counted == 7
    else:
        assert "estimate" in info.notice


@pytest.mark.parametrize("kind", [Vllm, Sglang, LlamaCpp, Ollama], ids=lambda kind: kind.__name__)
@pytest.mark.anyio
async def test_json_as_openai_says_it(kind: type[FakeServer]) -> None:
    server = kind()
    await answer(server, ask(grammar=AS_OBJECT))
    assert server.seen["response_format"] == {"type": "json_object"}
    await answer(server, ask(grammar=AS_SCHEMA))
    schema = server.seen["response_format"]["json_schema"]
    assert (schema["schema"], schema["strict"]) == (SCHEMA, True)


@pytest.mark.anyio
async def test_lm_studio_gets_a_schema_for_json_object() -> None:
    server = LmStudio()
    events = await answer(server, ask(grammar=AS_OBJECT))
    assert json.loads(text_of(events)) == {"city": "Paris"}
    assert server.seen["response_format"]["json_schema"]["schema"] == {"type": "object"}


@pytest.mark.anyio
async def test_tgi_gets_the_schema_as_value_and_no_top_p_of_one() -> None:
    server = Tgi()
    events = await answer(server, ask(grammar=AS_SCHEMA))
    assert json.loads(text_of(events)) == {"city": "Paris"}
    assert server.seen["response_format"] == {"type": "json_object", "value": SCHEMA}
    assert "top_p" not in server.seen


@pytest.mark.parametrize("kind", [WebUi, Transformers], ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("spec", [AS_OBJECT, AS_SCHEMA], ids=lambda spec: type(spec).__name__)
@pytest.mark.anyio
async def test_json_that_would_be_ignored_is_refused(kind: type[FakeServer], spec: GrammarSpec) -> None:
    server = kind()
    error = await refusal(server, ask(grammar=spec))
    assert isinstance(error, SchemaError)
    assert server.name in error.message
    assert server.seen == {}


@pytest.mark.anyio
async def test_regex_and_choice_where_they_can_be() -> None:
    choice, regex = StringChoice(("a.b", "c")), Regex("[0-9]+")
    vllm, sglang, llama = Vllm(), Sglang(), LlamaCpp()
    await answer(vllm, ask(grammar=choice))
    assert vllm.seen["structured_outputs"] == {"choice": ["a.b", "c"]}
    await answer(vllm, ask(grammar=regex))
    assert vllm.seen["structured_outputs"] == {"regex": "[0-9]+"}
    await answer(sglang, ask(grammar=choice))
    assert sglang.seen["regex"] == r"(a\.b)|(c)"
    await answer(llama, ask(grammar=choice))
    assert llama.seen["grammar"] == 'root ::= "a.b" | "c"'
    assert isinstance(await refusal(Ollama(), ask(grammar=regex)), SchemaError)


@pytest.mark.parametrize("kind", [Vllm, Sglang, Tgi], ids=lambda kind: kind.__name__)
@pytest.mark.anyio
async def test_a_named_tool_is_named(kind: type[FakeServer]) -> None:
    server = kind()
    await answer(server, ask(tools=(CLOCK, WEATHER), tool_choice=ToolChoice("named", "clock")))
    first = server.bodies[0]  # it makes no call, and is asked for one by a schema after that
    assert first["tool_choice"] == {"type": "function", "function": {"name": "clock"}}
    assert len(first["tools"]) == 2


@pytest.mark.parametrize("kind", [LlamaCpp, LmStudio], ids=lambda kind: kind.__name__)
@pytest.mark.anyio
async def test_a_named_tool_is_the_only_one_where_names_are_unknown(kind: type[FakeServer]) -> None:
    server = kind()
    await answer(server, ask(tools=(CLOCK, WEATHER), tool_choice=ToolChoice("named", "clock")))
    assert server.bodies[0]["tool_choice"] == "required"
    assert [tool["function"]["name"] for tool in server.bodies[0]["tools"]] == ["clock"]


@pytest.mark.parametrize("kind", [Ollama, WebUi, Transformers], ids=lambda kind: kind.__name__)
@pytest.mark.anyio
async def test_tools_without_tool_choice(kind: type[FakeServer]) -> None:
    server = kind()
    await answer(server, ask(tools=(CLOCK,)))
    assert "tool_choice" not in server.seen
    assert len(server.seen["tools"]) == 1
    await answer(server, ask(tools=(CLOCK,), tool_choice=ToolChoice("none")))
    assert "tools" not in server.seen


@pytest.mark.parametrize("kind", [Ollama, LmStudio, Tgi], ids=lambda kind: kind.__name__)
@pytest.mark.anyio
async def test_both_names_of_the_token_limit(kind: type[FakeServer]) -> None:
    server = kind()
    await answer(server, ask(max_tokens=9))
    assert server.seen["max_tokens"] == server.seen["max_completion_tokens"] == 9


@pytest.mark.parametrize("kind", [WebUi, Transformers], ids=lambda kind: kind.__name__)
@pytest.mark.anyio
async def test_a_small_default_limit_is_overridden(kind: type[FakeServer]) -> None:
    server = kind()
    await answer(server, ask(max_tokens=None))
    assert server.seen["max_tokens"] >= 1024


@pytest.mark.anyio
async def test_sampling_goes_under_each_servers_names() -> None:
    request = ask()
    request = replace(request, sampling=replace(request.sampling, top_k=7, min_p=0.1, repetition_penalty=1.1))
    vllm, llama, ollama, transformers = Vllm(), LlamaCpp(), Ollama(), Transformers()
    await answer(vllm, request)
    assert (vllm.seen["top_k"], vllm.seen["min_p"], vllm.seen["repetition_penalty"]) == (7, 0.1, 1.1)
    await answer(llama, request)
    assert (llama.seen["top_k"], llama.seen["repeat_penalty"]) == (7, 1.1)
    await answer(transformers, request)
    assert transformers.seen.keys().isdisjoint({"top_k", "min_p", "repetition_penalty", "presence_penalty"})
    async with engine_on(ollama) as engine:
        await collect(engine, request)
        assert "top_k" in engine.info().notice


@pytest.mark.anyio
async def test_reused_tokens_are_reported() -> None:
    for server, reused in ((Vllm(), 3), (LlamaCpp(), 2)):
        last = check_shape(await answer(server, ask()))
        assert isinstance(last, Finished)
        assert last.usage.reused_tokens == reused


@pytest.mark.anyio
async def test_llama_cpp_tells_progress() -> None:
    events = await answer(LlamaCpp(), ask())
    assert [event.reused for event in events if isinstance(event, Prefill)] == [2]


@pytest.mark.anyio
async def test_tokenizers_of_the_servers() -> None:
    for server in (Sglang(), WebUi()):
        async with engine_on(server) as engine:
            ids = await engine.tokenize("Grüße")
            assert await engine.detokenize(ids) == "Grüße"
    async with engine_on(Ollama()) as engine:
        with pytest.raises(RequestError, match="no tokenizer"):
            await engine.tokenize("x")


@pytest.mark.anyio
async def test_tokens_begin_as_the_servers_prompts_do_where_that_is_asked_for() -> None:
    async with engine_on(Sglang()) as engine:
        assert await engine.tokenize("ab", add_special_tokens=True) == [1, 97, 98]
        assert await engine.tokenize("ab") == [97, 98]
    async with engine_on(WebUi()) as engine:  # cannot be told
        assert await engine.tokenize("ab", add_special_tokens=True) == await engine.tokenize("ab")


@pytest.mark.anyio
async def test_control_tokens_in_a_text_are_text_where_that_is_asked_for() -> None:
    async with engine_on(LlamaCpp()) as engine:
        assert len(await engine.tokenize("<|im_end|>")) == 1
        assert len(await engine.tokenize("<|im_end|>", parse_special=False)) == len("<|im_end|>")
    async with engine_on(Sglang()) as engine:  # cannot be told
        assert await engine.tokenize("a < b", parse_special=False)
        for token in ("<|im_end|>", "</s>"):
            with pytest.raises(RequestError, match="parse_special"):
                await engine.tokenize(f"a {token}", parse_special=False)


@pytest.mark.anyio
async def test_transformers_serves_models_that_it_does_not_list() -> None:
    server = Transformers()
    upstream = server.upstream()

    async def broken(request: Request, reply: Reply) -> None:
        await reply.raw(b"Internal Server Error", 500)

    upstream.routes["GET /v1/models"] = broken
    async with upstream.serving():
        engine = RemoteEngine(base_url=upstream.base_url, model="/models/own")
        assert isinstance(check_shape(await collect(engine, ask())), Finished)
        await engine.drain(0.0)
    assert server.seen["model"] == "/models/own"


@pytest.mark.anyio
async def test_an_address_that_is_no_api_says_so() -> None:
    async with Upstream({}).serving() as upstream:
        engine = RemoteEngine(base_url=upstream.address)
        last = check_shape(await collect(engine, ask()))
        await engine.drain(0.0)
    assert isinstance(last, Failed)
    assert "--base-url" in last.error.message


@pytest.mark.anyio
async def test_an_unknown_model_is_named_with_those_there_are() -> None:
    async with engine_on(Vllm(), model="other") as engine:
        last = check_shape(await collect(engine, ask()))
    assert isinstance(last, Failed)
    assert isinstance(last.error, UpstreamError) or last.error.http_status == 503
    assert "'other'" in last.error.message
    assert "tiny" in last.error.message


async def chosen(body: object, model: str, status: int = 200) -> tuple[str, str, int]:
    """The model that a server with this list of models is asked for, what health says, and the context."""

    async def models(request: Request, reply: Reply) -> None:
        await reply.json(body, status)

    async with Upstream({"GET /v1/models": models}).serving() as upstream:
        engine = await asyncio.to_thread(lambda: RemoteEngine(base_url=upstream.base_url, model=model).connect())
        info, health = engine.info(), engine.health()
        await engine.drain(0.0)
    return info.model, health.reason, info.context_tokens


def listing(*ids: str, owner: str = "", **more: object) -> dict[str, object]:
    return {"object": "list", "data": [{"id": one, "owned_by": owner} for one in ids], **more}


@pytest.mark.parametrize(
    ("body", "status", "model", "asked"),
    [
        (listing("gpt-4o"), 200, "my-deployment", "my-deployment"),
        ({"error": "no such page"}, 404, "qwen-plus", "qwen-plus"),
        (listing(), 200, "qwen-plus", "qwen-plus"),
        ([{"id": "one"}, {"id": "two"}], 200, "", "one"),
        (listing("one", owner="vllm", has_more=True), 200, "two", "two"),
        (listing("nomic-embed-text:latest", "qwen2.5:latest", owner="library"), 200, "", "qwen2.5:latest"),
        (listing("text-embedding-3-small"), 200, "", "text-embedding-3-small"),
        (listing("qwen2.5:latest", "qwen2.5:7b", owner="library"), 200, "Qwen2.5", "qwen2.5:latest"),
        (listing("qwen2.5:7b-q4", "qwen2.5:7b", owner="library"), 200, "qwen2.5:7b", "qwen2.5:7b"),
        (listing("Qwen", "qwen"), 200, "qwen", "qwen"),
    ],
    ids=[
        "unlisted", "no-list", "empty", "bare-list", "more-pages", "embeddings-first", "embeddings-alone", "no-tag",
        "longer-tag", "two-in-letters",
    ],
)  # fmt: skip
@pytest.mark.anyio
async def test_the_model_is_found_whatever_the_list_is_like(body: object, status: int, model: str, asked: str) -> None:
    assert (await chosen(body, model, status))[:2] == (asked, "")


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (listing("gpt-4o", "o3"), True), (listing("gpt4o"), False), (listing(), False),
        (listing("o3", has_more=True), False),
    ],
    ids=["not named", "named", "no list", "maybe on another page"],
)  # fmt: skip
@pytest.mark.anyio
async def test_a_model_that_the_list_does_not_name_is_told_before_the_first_question(body: object, told: bool) -> None:
    """Some servers answer for models that they do not list: it is no refusal."""

    async def models(request: Request, reply: Reply) -> None:
        await reply.json(body)

    async with Upstream({"GET /v1/models": models}).serving() as upstream:
        engine = await asyncio.to_thread(lambda: RemoteEngine(base_url=upstream.base_url, model="gpt4o").connect())
        notice = engine.info().notice
        await engine.drain(0.0)
    assert ("has no model 'gpt4o'; it has: gpt-4o, o3." in notice) is told
    assert ("--remote-model" in notice) is told


@pytest.mark.anyio
async def test_of_a_long_list_the_likeliest_models_are_named() -> None:
    ids = [f"vendor/model-{number}" for number in range(500)]
    _, reason, _ = await chosen(listing(*ids, "vendor/qwen2.5", owner="vllm"), "qwen2.5")
    assert "vendor/qwen2.5" in reason
    assert "and 493 more" in reason
    assert len(reason) < 400


@pytest.mark.parametrize("model", ["qwen2.5:7b-instruct", "qwen2.5:14b"])
@pytest.mark.anyio
async def test_another_tag_is_another_model(model: str) -> None:
    _, reason, _ = await chosen(listing("qwen2.5:7b", "qwen2.5:latest", owner="library"), model)
    assert f"has no model {model!r}" in reason


@pytest.mark.parametrize("name", ["max_model_len", "context_length", "context_window", "max_context_length"])
@pytest.mark.anyio
async def test_the_context_is_read_from_the_list_whatever_its_name(name: str) -> None:
    assert (await chosen({"data": [{"id": "m", name: 4321}]}, ""))[2] == 4321


@pytest.mark.anyio
async def test_a_server_without_a_list_says_what_it_answered_in_its_place() -> None:
    _, reason, _ = await chosen({"error": "slow down"}, "", 429)
    assert "HTTP 429" in reason
    assert "--remote-model" in reason


Refusal = Callable[[str], dict[str, Any]]
REFUSALS: dict[str, Refusal] = {
    "openai": lambda name: {
        "error": {"message": f"Unsupported parameter: '{name}' is not supported with this model.", "param": name}
    },
    "azure": lambda name: {"error": {"message": f"Unrecognized request argument supplied: {name}", "param": None}},
    "groq": lambda name: {"error": {"message": f"property '{name}' is unsupported"}},
    "litellm": lambda name: {"error": {"message": f"UnsupportedParamsError: does not support parameters: ['{name}']"}},
    "gemini": lambda name: {"error": {"code": 400, "message": f'Unknown name "{name}": Cannot find field.'}},
    "mistral": lambda name: {
        "object": "error",
        "message": {"detail": [{"loc": ["body", name], "msg": "Extra inputs are not permitted"}]},
    },
}


OF_ONE_REQUEST = (
    "Unsupported value: '{}' does not support 0.7 with this model.",
    "{} is not supported when another field is 0",
    "`{}` is not supported with this combination",
    "unsupported {}: 0.7",
)


class Choosy(FakeServer):
    """Refuses some fields, one at a time, in the words of ``says``."""

    name = "an OpenAI-compatible server"
    refuses: tuple[str, ...] = (
        "max_tokens",
        "seed",
        "temperature",
        "top_p",
        "stream_options",
        "presence_penalty",
        "stop",
    )

    def __init__(self, says: Refusal) -> None:
        super().__init__()
        self.says = says

    def refusal(self, body: Mapping[str, Any]) -> tuple[int, dict[str, Any]] | None:
        refused = next((name for name in self.refuses if name in body), None)
        return (400, self.says(refused)) if refused else None


@pytest.mark.parametrize("says", REFUSALS.values(), ids=REFUSALS.keys())
@pytest.mark.anyio
async def test_fields_that_a_server_refuses_are_left_out_and_named(says: Refusal) -> None:
    server = Choosy(says)
    async with engine_on(server) as engine:
        events = await collect(engine, ask(max_tokens=9))
        assert isinstance(check_shape(events), Finished)
        assert server.seen["max_completion_tokens"] == 9
        assert server.seen.keys().isdisjoint(server.refuses)
        assert "seed, temperature" in engine.info().notice
        asked = len(server.bodies)
        assert isinstance(check_shape(await collect(engine, ask(max_tokens=9))), Finished)
        assert len(server.bodies) == asked + 1  # what was learnt is kept


@pytest.mark.parametrize(
    "sentence",
    [
        "unknown field `{}`, expected one of `model`, `messages`, `max_tokens`, `temperature`, `top_p`",
        "Unrecognized parameter {}. Supported parameters are temperature, top_p and max_tokens.",
        "The following are not supported: {}. Allowed: temperature, top_p, max_tokens.",
    ],
    ids=["serde", "supported", "allowed"],
)
@pytest.mark.anyio
async def test_fields_that_a_server_names_as_those_it_takes_are_sent(sentence: str) -> None:
    class Strict(Choosy):
        refuses = ("seed", "presence_penalty")

    server = Strict(lambda name: {"error": {"message": sentence.format(name)}})
    async with engine_on(server) as engine:
        assert isinstance(check_shape(await collect(engine, ask(max_tokens=9))), Finished)
    assert server.seen.keys().isdisjoint(server.refuses)
    assert server.seen.keys() >= {"temperature", "top_p", "max_tokens"}


@pytest.mark.anyio
async def test_a_field_that_an_answer_cannot_do_without_stays_refused() -> None:
    server = Choosy(REFUSALS["openai"])
    request = ask(max_tokens=9)
    error = await refusal(server, replace(request, sampling=replace(request.sampling, stop=("END",))))
    assert isinstance(error, RequestError)
    assert "'stop'" in error.message
    assert len(server.bodies) == len(server.refuses)


@pytest.mark.parametrize("sentence", OF_ONE_REQUEST)
@pytest.mark.anyio
async def test_what_is_refused_of_one_request_is_left_out_of_that_alone(sentence: str) -> None:
    server = Choosy(lambda name: {"error": {"message": sentence.format(name), "param": name}})
    async with engine_on(server) as engine:
        for asked in (1, 2):
            assert isinstance(check_shape(await collect(engine, ask(max_tokens=9))), Finished)
            assert "seed" not in server.seen
            assert "seed" not in engine.info().notice
            assert sum("seed" in body for body in server.bodies) == 2 * asked


@pytest.mark.anyio
async def test_words_that_somebody_sent_switch_no_field_off() -> None:
    class Pedant(FakeServer):
        name = "an OpenAI-compatible server"

        def refusal(self, body: Mapping[str, Any]) -> tuple[int, dict[str, Any]] | None:
            return (400, {"error": "unsupported keyword in property 'temperature'"}) if len(self.bodies) < 3 else None

    server = Pedant()
    async with engine_on(server) as engine:
        assert isinstance((await collect(engine, ask()))[-1], Failed)
        assert isinstance(check_shape(await collect(engine, ask())), Finished)
        assert "temperature" in server.seen
