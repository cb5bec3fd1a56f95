"""Answers as they leave a connection of the server; what it may cost is tested in tests/attacks."""

from __future__ import annotations

import pytest
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.types import Receive, Scope, Send

from tests.attacks.walled_server import walled


async def answer(scope: Scope, receive: Receive, send: Send) -> None:
    pieces = iter([b"two ", b"", b"pieces"])
    response = StreamingResponse(pieces) if scope["path"] == "/pieces" else PlainTextResponse("one piece")
    await response(scope, receive, send)


@pytest.mark.parametrize("asked", ["", "Connection: keep-alive\r\n", "Upgrade: h2c\r\nConnection: upgrade\r\n"])
@pytest.mark.parametrize(
    ("line", "body"), [("GET /pieces", b"two pieces"), ("GET /whole", b"one piece"), ("HEAD /pieces", b"")]
)
def test_http_1_0_gets_no_chunks_and_the_end_of_the_connection_ends_the_answer(
    line: str, body: bytes, asked: str
) -> None:
    with walled(answer) as server:
        head, _, came = server.answer(f"{line} HTTP/1.0\r\nHost: localhost\r\n{asked}\r\n".encode()).partition(
            b"\r\n\r\n"
        )
        assert b"200 OK" in head
        assert b"transfer-encoding" not in head
        assert b"connection: close" in head
        assert came == body
