"""Who answers is looked at again: for all who ask at once, after whatever a look ends with, and when it is another."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from qwen_app.engine.remote import RemoteEngine
from qwen_app.engine.remote.connection.server_info import check_health, check_model, probe
from qwen_app.errors import EngineUnavailable, UpstreamError
from qwen_app.messages import Failed, Finished, Tool
from tests.engine.contract import PATIENCE_S, ask, check_shape, collect, text_of
from tests.engine.remote.engines import CHAT, says
from tests.engine.remote.fake_servers import FakeServer, LlamaCpp, Vllm, WebUi
from tests.engine.remote.upstream import Reply, Request, Upstream
from tests.engine.remote.vllm_like import VllmLike, piece

MODELS = "/v1/models"
QUESTION = "What time is it?"
refuses = pytest.mark.parametrize(
    ("status", "sentence"),
    [
        (404, "The model `{}` does not exist."),
        (400, "{} is not a valid model ID: no such model"),
        (400, "Invalid model name passed in model={}"),
    ],
)


@dataclass
class Router(VllmLike):
    """A server that is always there, before one that has ``model`` alone."""

    model: str = "first"
    status: int = 404
    sentence: str = "The model `{}` does not exist."

    async def models(self, request: Request, reply: Reply) -> None:
        await reply.json({"data": [{"id": self.model, "owned_by": "vllm", "max_model_len": self.context_tokens}]})

    async def complete(self, request: Request, reply: Reply) -> None:
        asked = request.body["model"]
        if asked != self.model:
            await reply.json({"error": {"message": self.sentence.format(asked)}}, self.status)
        else:
            await says(piece(asked), piece("", finish="stop"), "[DONE]")(request, reply)


def models_asked_for(upstream: Upstream) -> list[str]:
    return [request.body["model"] for request in upstream.requests_to(CHAT)]


@refuses
@pytest.mark.anyio
async def test_a_request_that_meets_another_model_is_answered_by_that_one(status: int, sentence: str) -> None:
    server = Router(status=status, sentence=sentence)
    async with server.upstream().serving() as upstream:
        engine = RemoteEngine(base_url=upstream.base_url, poll_s=PATIENCE_S)
        assert text_of(await collect(engine, ask())) == "first"
        server.model = "second"
        answers = await asyncio.gather(*(collect(engine, ask()) for _ in range(3)))
        assert [text_of(events) for events in answers] == ["second"] * 3
        assert engine.health().ready
        assert engine.info().model == "second"
        await engine.drain(0.0)
    assert models_asked_for(upstream).count("second") == 3
    assert len(upstream.requests_to(MODELS)) == 2  # at first, and once for all three


@refuses
@pytest.mark.anyio
async def test_a_model_that_the_owner_named_is_not_answered_for_by_another(status: int, sentence: str) -> None:
    server = Router(status=status, sentence=sentence)
    async with server.upstream().serving() as upstream:
        engine = RemoteEngine(base_url=upstream.base_url, model="first")
        await collect(engine, ask())
        server.model = "second"
        last = check_shape(await collect(engine, ask()))
        health = engine.health()
        await engine.drain(0.0)
    assert isinstance(last, Failed)
    assert "first" in last.error.message
    assert models_asked_for(upstream) == ["first", "first"]
    assert not health.ready
    assert "no model 'first'; it has: second" in health.reason


@pytest.mark.anyio
async def test_a_missing_address_is_no_other_model() -> None:
    upstream = VllmLike().upstream()
    del upstream.routes[f"POST {CHAT}"]
    async with upstream.serving():
        engine = RemoteEngine(base_url=upstream.base_url)
        last = check_shape(await collect(engine, ask()))
        assert engine.health().ready
        await engine.drain(0.0)
    assert isinstance(last, Failed)
    assert isinstance(last.error, UpstreamError)
    assert len(upstream.requests_to(CHAT)) == 1


@pytest.mark.anyio
async def test_another_model_is_noticed_before_anybody_asks() -> None:
    server = Router()
    async with server.upstream().serving() as upstream:
        engine = RemoteEngine(base_url=upstream.base_url, poll_s=0.02)
        await collect(engine, ask())
        server.model = "second"
        async with asyncio.timeout(PATIENCE_S):
            while engine.info().model != "second":  # noqa: ASYNC110 (what it says is all there is to watch)
                await asyncio.sleep(0.01)
        assert text_of(await collect(engine, ask())) == "second"
        await engine.drain(0.0)
    assert models_asked_for(upstream) == ["first", "second"]


@pytest.mark.parametrize(("status", "state"), [(503, "loading"), (500, "stalled")])
@pytest.mark.anyio
async def test_a_server_that_says_it_is_not_well_is_not_ready_for_its_list_of_models(status: int, state: str) -> None:
    upstream = VllmLike().upstream()

    async def health(request: Request, reply: Reply) -> None:
        await reply.raw(b"", status)

    upstream.routes["GET /health"] = health
    async with upstream.serving():
        engine = await asyncio.to_thread(lambda: RemoteEngine(base_url=upstream.base_url).connect())
        assert engine.health().state == state
        await engine.drain(0.0)


@pytest.mark.parametrize(("status", "state"), [(503, "loading"), (502, "stalled"), (504, "stalled")])
@pytest.mark.anyio
async def test_a_server_that_is_away_behind_its_gateway_is_not_a_wrong_address(status: int, state: str) -> None:
    async def away(request: Request, reply: Reply) -> None:
        await reply.raw(b"<title>Bad gateway</title>", status, "text/html")

    upstream = VllmLike().upstream()
    upstream.routes |= dict.fromkeys(upstream.routes, away)
    async with upstream.serving():
        engine = await asyncio.to_thread(lambda: RemoteEngine(base_url=upstream.base_url).connect())
        health = engine.health()
        await engine.drain(0.0)
    assert health.state == state
    assert health.reason == f"The server at {upstream.base_url} is not ready: HTTP {status}."


async def hangs(request: Request, reply: Reply) -> None:
    await reply.wait_gone()


def silent() -> Upstream:
    return Upstream({f"GET {MODELS}": hangs})


@pytest.mark.anyio
async def test_a_silent_server_is_waited_for_once_by_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qwen_app.engine.remote.connection.server_info.PROBE_TIMEOUT_S", 0.3)
    async with silent().serving() as upstream:
        engine = RemoteEngine(base_url=upstream.base_url, poll_s=PATIENCE_S)
        answers = await asyncio.gather(*(collect(engine, ask(user=f"u{n}")) for n in range(6)))
        counts = [await engine.count_tokens([ask().messages]) for _ in range(3)]
        await engine.drain(0.0)
    errors = [last.error for last in map(check_shape, answers) if isinstance(last, Failed)]
    assert [type(error) for error in errors] == [EngineUnavailable] * 6
    assert {error.message for error in errors} == {
        f"The server at {upstream.base_url} cannot be reached (ReadTimeout). Is it running?"
    }
    assert all(count > [0] for count in counts)
    assert len(upstream.requests) == 1


@pytest.mark.anyio
async def test_who_gives_up_waiting_takes_the_look_from_nobody() -> None:
    go = asyncio.Event()
    server = VllmLike()
    upstream = server.upstream()

    async def models(request: Request, reply: Reply) -> None:
        await go.wait()
        await server.models(request, reply)

    upstream.routes[f"GET {MODELS}"] = models
    async with upstream.serving():
        engine = RemoteEngine(base_url=upstream.base_url, poll_s=PATIENCE_S)
        patient = asyncio.create_task(collect(engine, ask()))
        last = check_shape(await collect(engine, ask(timeout_s=0.05)))
        assert isinstance(last, Finished)
        assert last.reason == "deadline"
        go.set()
        assert isinstance(check_shape(await patient), Finished)
        await engine.drain(0.0)
    assert len(upstream.requests_to(MODELS)) == 1


@pytest.mark.anyio
async def test_who_waits_for_a_look_when_the_engine_stops_is_answered() -> None:
    async with silent().serving() as upstream:
        engine = RemoteEngine(base_url=upstream.base_url)
        counting = asyncio.create_task(engine.count_tokens([ask().messages]))
        async with asyncio.timeout(PATIENCE_S):
            while not upstream.requests:  # noqa: ASYNC110 (that it was asked is all there is to watch)
                await asyncio.sleep(0.005)
        await engine.drain(0.0)
        assert await counting > [0]


@pytest.mark.anyio
async def test_what_is_known_of_a_server_holds_while_it_is_looked_at_again() -> None:
    ill, again, server = False, asyncio.Event(), LlamaCpp()
    server.drops_tools = True
    upstream = server.upstream()

    async def template(request: Request, reply: Reply) -> None:
        if ill and request.body["messages"][-1]["content"] != QUESTION:  # it is the look's
            again.set()
            await reply.wait_gone()
        await server.template(request, reply)

    async def health(request: Request, reply: Reply) -> None:
        await reply.raw(b"", 500 if ill else 200)

    upstream.routes |= {"POST /apply-template": template, "GET /health": health}
    async with upstream.serving():
        engine = RemoteEngine(base_url=upstream.base_url, poll_s=0.02)
        await collect(engine, ask(QUESTION, tools=(Tool("clock"),)))
        ill = True
        async with asyncio.timeout(PATIENCE_S):
            await again.wait()
        await collect(engine, ask(QUESTION, tools=(Tool("clock"),)))
        await engine.drain(0.0)
    assert ["tools" in body for body in server.bodies] == [False, False]


@pytest.mark.anyio
async def test_a_page_nested_too_deeply_is_none() -> None:
    upstream = VllmLike().upstream()

    async def deep(request: Request, reply: Reply) -> None:
        await reply.raw(b"[" * 200_000, kind="application/json")

    upstream.routes |= dict.fromkeys(("GET /version", "POST /tokenize"), deep)
    async with upstream.serving():
        engine = RemoteEngine(base_url=upstream.base_url)
        assert isinstance(check_shape(await collect(engine, ask())), Finished)
        assert engine.health().ready
        await engine.drain(0.0)


@pytest.mark.anyio
async def test_a_look_that_fails_in_an_unforeseen_way_is_not_the_last(caplog: pytest.LogCaptureFixture) -> None:
    looks = iter(range(3))

    def find_tokenizer(model: str) -> Path | None:
        if next(looks, None) is not None:
            raise RuntimeError("nobody thought of this")
        return None

    options: dict[str, Any] = {"find_tokenizer": find_tokenizer, "poll_s": 0.02}
    async with VllmLike().upstream().serving() as upstream:
        engine = RemoteEngine(base_url=upstream.base_url, **options)
        async with asyncio.timeout(PATIENCE_S):
            while not engine.health().ready:  # noqa: ASYNC110 (health is all there is to watch)
                await asyncio.sleep(0.005)
        await engine.drain(0.0)
    assert next(looks, None) is None
    assert caplog.text.count("sent something this app does not understand") == 1
    assert "RuntimeError" in caplog.text


@pytest.mark.parametrize("kind", [WebUi, Vllm], ids=lambda kind: kind.__name__)
@pytest.mark.anyio
async def test_the_list_of_models_is_read_once_a_look_where_it_stands_for_a_page_of_health_too(
    kind: type[FakeServer],
) -> None:
    async def broken(request: Request, reply: Reply) -> None:
        await reply.raw(b"", 500)

    async def checked() -> None:
        await check_health(http, upstream.base_url, server)
        await check_model(http, upstream.base_url, server)

    async with kind().upstream().serving() as upstream, httpx2.AsyncClient() as http:
        server = await probe(http, upstream.base_url, "")
        assert len(upstream.requests_to(MODELS)) == 1
        await checked()
        assert len(upstream.requests_to(MODELS)) == 2
        upstream.routes |= {f"GET {MODELS}": broken, "GET /health": broken}
        with pytest.raises(UpstreamError, match="HTTP 500"):
            await checked()


@pytest.mark.anyio
async def test_a_path_that_is_missing_is_looked_into_once_for_a_while() -> None:
    upstream = VllmLike().upstream()
    del upstream.routes[f"POST {CHAT}"]
    async with upstream.serving():
        engine = await asyncio.to_thread(lambda: RemoteEngine(base_url=upstream.base_url, poll_s=PATIENCE_S).connect())
        first_look = len(upstream.requests_to("/tokenize"))
        for _ in range(4):
            assert isinstance(check_shape(await collect(engine, ask())), Failed)
        await engine.drain(0.0)
    assert len(upstream.requests_to("/tokenize")) == 2 * first_look


@pytest.mark.anyio
async def test_a_model_that_one_of_several_servers_lacks_is_asked_for_again() -> None:
    server, turns = Router(), iter((False, True))

    async def chat(request: Request, reply: Reply) -> None:
        if next(turns):
            await server.complete(request, reply)
        else:
            await reply.json({"error": {"message": server.sentence.format("first")}}, server.status)

    upstream = server.upstream()
    upstream.routes[f"POST {CHAT}"] = chat
    async with upstream.serving():
        engine = RemoteEngine(base_url=upstream.base_url, poll_s=PATIENCE_S)
        assert text_of(await collect(engine, ask())) == "first"
        await engine.drain(0.0)
