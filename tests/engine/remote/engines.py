"""RemoteEngine on a server of the tests, as short as tests want it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from qwen_app.engine.remote import RemoteEngine
from qwen_app.messages import Event, Failed, GenerationRequest
from tests.engine.contract import check_shape, collect
from tests.engine.remote.fake_servers import FakeServer
from tests.engine.remote.upstream import Handler, Reply, Request, Upstream
from tests.engine.remote.vllm_like import VllmLike

CHAT = "/v1/chat/completions"


@asynccontextmanager
async def engine_on(server: FakeServer, **options: Any) -> AsyncGenerator[RemoteEngine, None]:
    async with server.upstream().serving() as upstream:
        engine = RemoteEngine(base_url=upstream.base_url, **options)
        yield engine
        await engine.drain(0.0)


async def answer(server: FakeServer, request: GenerationRequest) -> list[Event]:
    async with engine_on(server) as engine:
        return await collect(engine, request)


async def refusal(server: FakeServer, request: GenerationRequest) -> Exception:
    events = await answer(server, request)
    last = check_shape(events)
    assert len(events) == 1
    assert isinstance(last, Failed)
    return last.error


@asynccontextmanager
async def engine_with_chat(chat: Handler, **options: Any) -> AsyncGenerator[tuple[RemoteEngine, Upstream], None]:
    """An engine whose server answers chats with ``chat`` and all else like vLLM."""
    upstream = VllmLike().upstream()
    upstream.routes[f"POST {CHAT}"] = chat
    async with upstream.serving():
        engine = RemoteEngine(base_url=upstream.base_url, **options)
        yield engine, upstream
        await engine.drain(0.0)


def says(*events: object, before_end: str = "end") -> Handler:
    """A stream of ``events``; then the stream ends, breaks off (``reset``) or stays open (``hang``)."""

    async def chat(request: Request, reply: Reply) -> None:
        await reply.stream()
        for event in events:
            await reply.event(event)
        if before_end == "reset":
            reply.abort()
        elif before_end == "hang":
            await reply.wait_gone()
        else:
            await reply.end()

    return chat
