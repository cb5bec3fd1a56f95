"""What a stranger sends before he has logged in costs nearly nothing: forms, bodies, heads, connections, time.

Answers to bombs in the login form, uploads and heads without an end, slowloris, and floods of idle connections.
"""

from __future__ import annotations

import os
import resource
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import psutil
import pytest
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from qwen_app.serve.connections import ConnectionLimits
from qwen_app.serve.open_files import connection_limits, raise_open_files
from qwen_app.settings import Settings
from tests.attacks.walled_server import BYSTANDER_S, Walled, api_app, everything, is_closed, walled

AUTH = "ada:secret"
QUICK = ConnectionLimits(head_s=1.0, body_s=1.0, linger_s=0.5)
HOST = b"Host: localhost\r\n"
ONCE = b"Connection: close\r\n"  # else the connection stays open for a while after an answer


def post(path: str, body: bytes, length: int | None = None) -> bytes:
    announced = len(body) if length is None else length
    return b"POST %b HTTP/1.1\r\n%b%bContent-Length: %d\r\n\r\n%b" % (path.encode(), HOST, ONCE, announced, body)


def all_closed(connections: list[socket.socket]) -> bool:
    until = time.monotonic() + BYSTANDER_S
    while time.monotonic() < until:
        if all(map(is_closed, connections)):
            return True
        time.sleep(0.05)
    return False


def close(connections: list[socket.socket]) -> None:
    for connection in connections:
        connection.close()


@pytest.mark.parametrize("body", [b"a=b&" * 2**20, b"%41" * 2**20, b"a" * 4097, b";" * 5000])
def test_a_form_of_megabytes_is_refused_unread(body: bytes) -> None:
    with walled(auth=AUTH, limits=QUICK) as server, ThreadPoolExecutor(8) as attackers:
        sent = [attackers.submit(server.answer, post("/login", body)) for _ in range(8)]
        began = time.monotonic()
        assert server.get().status_code == 200
        assert time.monotonic() - began < BYSTANDER_S
        for answer in sent:  # a client that only sends may be reset before it reads
            assert not answer.result() or answer.result().startswith(b"HTTP/1.1 413")
        assert server.answer(post("/login", b"", 4 * 2**20)).startswith(b"HTTP/1.1 413")


@pytest.mark.parametrize("path", ["/gradio_api/upload", "/", "/login", "/gradio_api/queue/join", "/logout"])
def test_bodies_that_do_not_end_take_no_memory_and_are_cut_off(path: str) -> None:
    process = psutil.Process(os.getpid())
    with walled(auth=AUTH, limits=QUICK) as server:
        before = process.memory_info().rss
        connections = [server.connect(post(path, b"x" * 65536, 2 * 2**20)) for _ in range(100)]
        assert server.get().status_code == 200
        assert process.memory_info().rss - before < 60 * 2**20
        assert all(everything(connection).startswith(b"HTTP/1.1 ") for connection in connections[:10])
        assert all_closed(connections[10:])
        close(connections)


def test_a_body_that_is_waited_for_has_its_time() -> None:
    with walled(api_app(Settings()), limits=QUICK) as server:
        connection = server.connect(post("/v1/chat/completions", b"{", 100))
        assert all_closed([connection])
        close([connection])


LONG_HEADS = {
    "a header without an end": b"GET / HTTP/1.1\r\n" + HOST + b"X: " + b"a" * 3 * 2**20,
    "a header just too long": b"GET / HTTP/1.1\r\n" + HOST + b"X: " + b"a" * 33_000,
    "a complete header too long": b"GET / HTTP/1.1\r\n" + HOST + b"X: " + b"a" * 40_000 + b"\r\n\r\n",
    "many headers": b"GET / HTTP/1.1\r\n" + HOST + b"X: a\r\n" * 101 + b"\r\n",
    "headers without an end": b"GET / HTTP/1.1\r\n" + HOST + b"X: a\r\n" * 50_000,
    "a long name": b"GET / HTTP/1.1\r\n" + HOST + b"X" * 40_000 + b": a\r\n\r\n",
    "a long path": b"GET /" + b"a" * 40_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n",
    "a path without an end": b"GET /" + b"a" * 100_000,
    "a folded header": b"GET / HTTP/1.1\r\n" + HOST + b"X: a\r\n" + b" a\r\n" * 20_000,
    "only line breaks": b"\r\n" * 50_000,
}


@pytest.mark.parametrize("head", LONG_HEADS.values(), ids=LONG_HEADS.keys())
def test_heads_are_bounded(head: bytes) -> None:
    with walled(auth=AUTH) as server:
        answer = server.answer(head)
        assert answer == b"" or answer.startswith((b"HTTP/1.1 431", b"HTTP/1.1 400"))
        assert server.get().status_code == 200


def test_a_head_in_small_pieces_is_bounded_too() -> None:
    with walled(auth=AUTH) as server, server.connect(b"GET / HTTP/1.1\r\n" + HOST + b"X: ") as connection:
        sent = 0
        try:
            while sent < 2**20:
                connection.sendall(b"a" * 512)
                sent += 512
                time.sleep(0.0001)
        except OSError:
            pass
        assert sent < 2**20
        assert server.get().status_code == 200


@pytest.mark.parametrize("tail", [b"X: " + b"a" * 2**20, b"X: a\r\n" * 50_000])
def test_what_follows_a_body_in_chunks_is_bounded(tail: bytes) -> None:
    head = b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n"
    with walled(auth=AUTH) as server:
        assert b"200 OK" not in server.answer(head + b"1\r\na\r\n0\r\n" + tail)
        assert server.get().status_code == 200


def test_a_head_of_usual_size_passes() -> None:
    head = b"GET /health HTTP/1.1\r\n" + HOST + b"Cookie: " + b"a" * 30_000 + b"\r\nConnection: close\r\n\r\n"
    with walled() as server:
        assert server.answer(head).startswith(b"HTTP/1.1 200")
        assert (
            server.answer(b"GET /health HTTP/1.1\r\n" + b"X: a\r\n" * 90 + b"Connection: close\r\n\r\n")[9:12] == b"200"
        )


@pytest.mark.parametrize(
    "begun",
    [
        b"",
        b"GET / HTTP/1.1\r\nHost: loc",
        b"\r\n",
        b"POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\na",
    ],
    ids=["nothing", "half a head", "a line break", "half a body"],
)
def test_1100_that_wait_leave_a_bystander_answered_and_are_cut_off(begun: bytes) -> None:
    limits = ConnectionLimits(head_s=6.0, body_s=6.0)
    with walled(auth=AUTH, limits=limits) as server:
        connections = [server.connect(begun) for _ in range(1100)]
        assert server.get().status_code == 200
        assert server.get("/login").status_code == 200
        assert all_closed(connections)
        close(connections)


def test_an_endless_trickle_is_cut_off() -> None:
    with walled(auth=AUTH, limits=QUICK) as server, server.connect(b"GET / HTTP/1.1\r\n") as connection:
        until = time.monotonic() + BYSTANDER_S
        while not is_closed(connection) and time.monotonic() < until:
            connection.setblocking(True)
            try:
                connection.sendall(b"X: a\r\n")
            except OSError:
                break
            time.sleep(0.2)
        assert time.monotonic() < until


def test_when_all_places_are_taken_the_idle_give_way() -> None:
    limits = ConnectionLimits(in_all=20, reserve=2)
    with walled(auth=AUTH, limits=limits) as server:
        connections = [server.connect(b"GET / HT") for _ in range(60)]
        assert server.get("/login").status_code == 200
        assert sum(map(is_closed, connections)) >= 40
        assert not is_closed(connections[-5])
        close(connections)


async def stuck(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers /health, and nothing else before its client has gone."""
    if scope["type"] == "http" and scope["path"] == "/health":
        await PlainTextResponse("ok")(scope, receive, send)
    elif scope["type"] == "http":
        while (await receive())["type"] != "http.disconnect":
            pass


def busy(server: Walled, count: int) -> list[socket.socket]:
    return [server.connect(b"GET /x HTTP/1.1\r\n" + HOST + b"\r\n") for _ in range(count)]


def test_when_everybody_is_served_a_reserve_tells_that_the_server_lives() -> None:
    with walled(stuck, ConnectionLimits(in_all=10, reserve=3)) as server:
        answering = busy(server, 10)
        time.sleep(0.2)
        idle = [server.connect() for _ in range(6)]
        assert server.get("/health").text == "ok"
        refused = server.get("/x")
        assert (refused.status_code, refused.headers["connection"]) == (503, "close")
        assert not any(map(is_closed, answering))
        close([*answering, *idle])


def test_one_address_does_not_take_all_places(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qwen_app.serve.connections.is_loopback", lambda address: False)
    with walled(stuck, ConnectionLimits(per_address=5)) as server:
        answering = busy(server, 5)
        time.sleep(0.2)
        with server.connect() as sixth:
            assert everything(sixth).startswith(b"HTTP/1.1 503")
        close(answering)
        time.sleep(0.2)
        assert server.get().status_code == 200


@pytest.mark.parametrize(("proxy", "trusted"), [("127.0.0.1", "127.0.0.0/8"), ("::1", "::1"), ("::1", "")])
def test_a_proxy_may_bring_many(proxy: str, trusted: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if trusted:
        monkeypatch.setattr("qwen_app.serve.connections.is_loopback", lambda address: False)
    with walled(stuck, ConnectionLimits(per_address=5), on=proxy, trusted_proxy=trusted) as server:
        answering = busy(server, 12)
        time.sleep(0.2)
        assert server.get().status_code == 200
        assert not any(map(is_closed, answering))
        close(answering)


def test_who_does_not_read_his_answer_is_cut_off() -> None:
    async def endless(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(2000):
            await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})

    request = b"GET /x HTTP/1.1\r\n" + HOST + b"\r\n"
    with walled(endless, ConnectionLimits(read_s=0.5)) as server, server.connect(request) as connection:
        time.sleep(2)
        assert len(everything(connection)) < 2000 * 65536


def test_who_does_not_read_his_answer_has_it_waiting_once() -> None:
    page = b"~" * 8 * 2**20
    handed: list[int] = []

    async def large(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": page, "more_body": True})
        handed.append(len(page))
        await send({"type": "http.response.body", "body": b""})

    request = b"GET /x HTTP/1.1\r\n" + HOST + b"connection: close\r\n\r\n"
    with walled(large) as server, server.connect(request) as connection:
        time.sleep(1)
        assert not handed  # the server waits with what it has, and keeps no copy for this client
        assert everything(connection).count(b"~") == len(page)


def test_pipelined_requests_are_bounded() -> None:
    with walled(stuck) as server, server.connect() as connection:
        with suppress(OSError):
            connection.sendall((b"GET /x HTTP/1.1\r\n" + HOST + b"\r\n") * 5000)
        everything(connection)


def test_an_upgrade_is_no_way_past_the_wall() -> None:
    upgrade = b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\nSec-WebSocket-Version: 13\r\n"
    with walled(auth=AUTH, limits=QUICK) as server:
        assert server.answer(b"GET /x HTTP/1.1\r\n" + HOST + upgrade + b"\r\n").startswith(b"HTTP/1.1 401")


def test_the_loading_page_is_behind_the_wall() -> None:
    with walled() as server:
        page = server.get("/")
        assert page.status_code == 503
        assert "frame-ancestors 'self'" in page.headers["content-security-policy"]
        assert page.headers["x-request-id"]
        assert server.get("/", headers={"host": "evil.example"}).status_code == 403
    with walled(auth=AUTH) as server:
        assert server.get("/").status_code == 401
        assert server.get("/login").status_code == 200


def test_as_many_files_as_the_system_allows() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 1024), hard))
        assert raise_open_files() == resource.getrlimit(resource.RLIMIT_NOFILE)[0] >= min(soft, 1024)
        assert hard == resource.RLIM_INFINITY or resource.getrlimit(resource.RLIMIT_NOFILE)[0] == hard
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert connection_limits(1024).in_all + ConnectionLimits().reserve < 1024 - 200
    assert connection_limits(100_000) == ConnectionLimits()
