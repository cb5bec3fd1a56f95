"""A request that asks for another protocol is answered once, with its whole body, and nothing of it is the next one."""

from __future__ import annotations

from collections.abc import Iterator

import h11
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from tests.attacks.walled_server import Walled, everything, walled
from tests.examples import examples

OFFERS = {
    "java": b"Connection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAEAAEAAAAIAAAAB\r\nUpgrade: h2c\r\n",
    "websocket": b"connection: keep-alive, upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n",
    "none": b"",
}
HIDDEN = b"GET /hidden HTTP/1.1\r\nHost: localhost\r\n\r\n"


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    request = Request(scope, receive)
    body = await request.body()
    offered = {name for name in ("upgrade", "http2-settings") if name in request.headers}
    await PlainTextResponse(f"{request.method} {request.url.path} {offered or ''}{body!r}")(scope, receive, send)


@pytest.fixture(scope="module")
def server() -> Iterator[Walled]:
    with walled(echo) as server:
        yield server


def request(offer: str, body: bytes, *, chunked: bool = False, last: bool = False) -> bytes:
    head = b"POST /asked HTTP/1.1\r\nHost: localhost\r\n" + OFFERS[offer] + (b"Connection: close\r\n" if last else b"")
    if chunked:
        pieces = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
        return head + b"Transfer-Encoding: chunked\r\n\r\n" + pieces + b"0\r\n\r\n"
    return head + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)


def answers(came: bytes, count: int) -> list[str]:
    client, texts = h11.Connection(h11.CLIENT), list[str]()
    client.receive_data(came)
    client.receive_data(b"")
    for _ in range(count):
        client.send(h11.Request(method="POST", target="/asked", headers=[("Host", "localhost")]))
        client.send(h11.EndOfMessage())
        text = b""
        while not isinstance(event := client.next_event(), h11.EndOfMessage):
            assert isinstance(event, h11.Response | h11.Data), event
            text += event.data if isinstance(event, h11.Data) else b""
        texts.append(text.decode())
        if client.states[h11.SERVER] is h11.DONE:
            client.start_next_cycle()
    assert client.trailing_data[0] == b""
    return texts


asked = st.tuples(st.sampled_from(list(OFFERS)), st.sampled_from([b"", b"{}", HIDDEN, b"x" * 3000]), st.booleans())


@settings(max_examples=examples(60))
@given(requests=st.lists(asked, min_size=1, max_size=4), cuts=st.lists(st.integers(0, 4000), max_size=3))
def test_whatever_is_asked_for_and_however_it_arrives(
    server: Walled, requests: list[tuple[str, bytes, bool]], cuts: list[int]
) -> None:
    sent = b"".join(
        request(offer, body, chunked=chunked, last=number == len(requests))
        for number, (offer, body, chunked) in enumerate(requests, 1)
    )
    ends = sorted({min(cut, len(sent)) for cut in cuts} | {len(sent)})
    with server.connect() as connection:
        for start, end in zip([0, *ends], ends, strict=False):
            connection.sendall(sent[start:end])
        assert answers(everything(connection), len(requests)) == [f"POST /asked {body!r}" for _, body, _ in requests]


@pytest.mark.parametrize("offer", OFFERS)
@pytest.mark.parametrize("target", [b"/asked", b"localhost:80"])
def test_a_tunnel_is_no_upgrade_and_holds_nobody_up(server: Walled, target: bytes, offer: str) -> None:
    """The parser stops behind it in the same way."""
    asked = b"CONNECT %b HTTP/1.1\r\nHost: localhost\r\n%bConnection: close\r\n\r\n" % (target, OFFERS[offer])
    came = server.answer(asked)
    assert came.startswith(b"HTTP/1.1 200" if target == b"/asked" else b"HTTP/1.1 400")
    assert server.get().status_code == 200


def test_a_flood_of_them_is_bounded(server: Walled) -> None:
    with server.connect() as connection:
        connection.sendall(request("java", b"") * 2000)
        everything(connection)
    assert server.get().status_code == 200
