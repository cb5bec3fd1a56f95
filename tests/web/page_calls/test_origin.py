"""What Gradio is told of the page's address, and what API and login are."""

from __future__ import annotations

import pytest
from starlette.types import Message, Receive, Scope, Send

from qwen_app.http.paths import PathPrefixes
from qwen_app.web.page_calls.origin import OwnOrigin

pytestmark = pytest.mark.anyio

SENT = [
    (b"host", b"pod.example"),
    (b"x-forwarded-host", b"evil.example"),
    (b"X-Forwarded-For", b"203.0.113.7"),
    (b"forwarded", b"host=evil.example"),
    (b"x-gradio-server", b"http://evil.example"),
    (b"accept", b"*/*"),
]


async def arriving(path: str) -> list[tuple[bytes, bytes]]:
    arrived: list[tuple[bytes, bytes]] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        arrived.extend(scope["headers"])

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None: ...

    scope = {"type": "http", "path": path, "headers": list(SENT)}
    await OwnOrigin(app, own_host="localhost:7860", not_gradios=PathPrefixes(["/v1", "/login"]))(scope, receive, send)
    return arrived


@pytest.mark.parametrize("path", ["/", "/config"])
async def test_the_page_is_told_its_host_and_nobodys_word(path: str) -> None:
    assert await arriving(path) == [(b"host", b"pod.example"), (b"accept", b"*/*")]


@pytest.mark.parametrize("path", ["/gradio_api/info", "/gradio_api/call/v2/chat"])
async def test_answers_kept_for_all_name_our_own_host(path: str) -> None:
    assert sorted(await arriving(path)) == [(b"accept", b"*/*"), (b"host", b"localhost:7860")]


@pytest.mark.parametrize("path", ["/v1/models", "/login"])
async def test_api_and_login_see_what_was_sent(path: str) -> None:
    assert await arriving(path) == SENT
