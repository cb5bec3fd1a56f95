"""Every request has an id and a bounded body, and every answer goes out in pieces, whoever answers it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import httpx
import pytest
from fastapi import FastAPI, Request
from hypothesis import given
from hypothesis import strategies as st
from starlette.types import Message, Receive, Scope, Send

from qwen_app.http.middleware import (
    BODY_LIMIT_BYTES,
    PIECE_BYTES,
    PiecesMiddleware,
    install_request_middleware,
    request_id_of,
)

pytestmark = pytest.mark.anyio


def client() -> httpx.AsyncClient:
    app = FastAPI(openapi_url=None)
    install_request_middleware(app)

    @app.post("/parsed")
    async def parsed(body: dict[str, str]) -> int:
        return len(body)

    @app.post("/raw")
    async def raw(request: Request) -> dict[str, object]:
        return {"bytes": len(await request.body()), "id": request_id_of(request.scope)}

    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost")


async def chunks(total_bytes: int) -> AsyncGenerator[bytes, None]:
    for _ in range(total_bytes // 65536):
        yield b"x" * 65536


async def test_ids_are_new_with_every_request_and_nobody_elses() -> None:
    async with client() as http:
        responses = [await http.post("/raw", headers={"x-request-id": "forged"}) for _ in range(2)]
    ids = [response.headers["x-request-id"] for response in responses]
    assert ids == [response.json()["id"] for response in responses]
    assert len({*ids, "forged"}) == 3


async def test_a_body_as_large_as_the_limit_passes() -> None:
    async with client() as http:
        assert (await http.post("/raw", content=b"x" * BODY_LIMIT_BYTES)).json()["bytes"] == BODY_LIMIT_BYTES
        assert (await http.post("/raw", content=chunks(BODY_LIMIT_BYTES))).json()["bytes"] == BODY_LIMIT_BYTES


@pytest.mark.parametrize("path", ["/raw", "/parsed"])
@pytest.mark.parametrize("announced", [True, False])
async def test_a_larger_one_is_refused(path: str, announced: bool) -> None:
    content = b"x" * (BODY_LIMIT_BYTES + 1) if announced else chunks(2 * BODY_LIMIT_BYTES)
    async with client() as http:
        response = await http.post(path, content=content, headers={"content-type": "application/json"})
    assert response.status_code == 413
    assert "4 MiB" in response.json()["detail"]
    assert response.headers["x-request-id"]


@given(st.lists(st.sampled_from([b"", b"a", b"bc" * (PIECE_BYTES // 2), b"def" * PIECE_BYTES]), min_size=1, max_size=4))
def test_an_answer_goes_out_in_pieces_and_is_the_same(bodies: list[bytes]) -> None:
    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for number, body in enumerate(bodies, 1):
            await send({"type": "http.response.body", "body": body, "more_body": number < len(bodies)})

    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    asyncio.run(PiecesMiddleware(answer)({"type": "http"}, receive, send))
    start, *pieces = sent
    assert start["type"] == "http.response.start"
    assert b"".join(piece["body"] for piece in pieces) == b"".join(bodies)
    assert max(len(piece["body"]) for piece in pieces) <= PIECE_BYTES
    assert [piece["more_body"] for piece in pieces] == [True] * (len(pieces) - 1) + [False]
