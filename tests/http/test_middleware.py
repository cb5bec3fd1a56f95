"""Every request has an id and a bounded body, whoever answers it."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import httpx
import pytest
from fastapi import FastAPI, Request

from qwen_app.http.middleware import BODY_LIMIT_BYTES, install_request_middleware, request_id_of

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
