"""No header makes a stranger local, and no other page, proxy or burst gets past the login.

Answers to proxies and tunnels on the server's own machine, forged forwarding and origin headers, odd Host lines, and
guessing in bursts.
"""

from __future__ import annotations

import asyncio
import json

import httpx
import pytest
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from qwen_app.settings import Settings
from tests.attacks.walled_server import Walled, api_app, walled

AUTH = {"auth": "ada:secret"}
API = ["/v1/models", "/metrics"]

# What tunnels and proxies on this machine send for a stranger: the bytes of each, in short.
LOOK_LOCAL: dict[str, dict[str, str]] = {
    "a bare tunnel": {"host": "127.0.0.1:7860"},
    "localhost": {"host": "localhost:7860"},
    "an IPv6 name": {"host": "[::1]:7860"},
    "a forged sender": {"host": "localhost", "x-forwarded-for": "127.0.0.1"},
    "a forged chain": {"host": "localhost", "x-forwarded-for": "127.0.0.1, ::1", "x-real-ip": "127.0.0.1"},
    "a forged Forwarded": {"host": "localhost", "forwarded": "for=127.0.0.1"},
    "an own origin": {"host": "localhost:7860", "origin": "http://localhost:7860"},
    "any key": {"host": "localhost", "authorization": "Bearer none"},
}


@pytest.mark.parametrize("headers", LOOK_LOCAL.values(), ids=LOOK_LOCAL.keys())
def test_with_a_login_nobody_is_local(headers: dict[str, str]) -> None:
    with walled(api_app(Settings(**AUTH)), **AUTH) as server:
        for path in API:
            assert server.get(path, headers=headers).status_code == 401
        body = {"model": "default", "messages": [{"role": "user", "content": "Hi"}]}
        with httpx.Client(base_url=server.url, trust_env=False, verify=False) as client:
            answer = client.post("/v1/chat/completions", json=body, headers=headers)
        assert answer.status_code in (401, 403)


async def told_of(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers who asks, by which name and with which headers, once all of the body has come."""
    while (await receive()).get("more_body"):
        pass
    headers = {name.decode(): value.decode() for name, value in scope["headers"]}
    told = {"client": scope["client"][0], "root": scope.get("root_path", ""), "headers": headers}
    await JSONResponse(told)(scope, receive, send)


@pytest.mark.parametrize(
    "trailer",
    [
        "cookie: qwen_session=x",
        "x-forwarded-for: 192.0.2.7",
        "x-forwarded-prefix: /s",
        "authorization: Bearer x",
        "host: x",
    ],
)
@pytest.mark.parametrize("settings", [{}, {"trusted_proxy": "127.0.0.1"}])
def test_what_comes_after_the_body_is_no_header(trailer: str, settings: dict[str, str]) -> None:
    head = b"POST /v1/x HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n"
    with walled(told_of, **settings) as server:
        plain, with_trailer = (
            json.loads(server.answer(head + b"2\r\n{}\r\n0\r\n" + after + b"\r\n").partition(b"\r\n\r\n")[2])
            for after in (b"", trailer.encode() + b"\r\n")
        )
    assert with_trailer == plain


def test_the_pages_session_opens_the_api_until_it_is_signed_out() -> None:
    with (
        walled(api_app(Settings(**AUTH)), **AUTH) as server,
        httpx.Client(base_url=server.url, trust_env=False, verify=False) as client,
    ):
        assert client.get("/v1/models").status_code == 401
        client.post("/login", data={"username": "ada", "password": "secret"}).raise_for_status()
        cookie = {"cookie": f"qwen_session={client.cookies['qwen_session']}"}
        assert client.get("/v1/models").status_code == 200
        neighbour = {"origin": "http://neighbour.example", "sec-fetch-site": "same-site"}
        assert client.post("/v1/completions", json={}, headers=neighbour).status_code == 403
        client.post("/logout").raise_for_status()
        assert client.get("/v1/models", headers=cookie).status_code == 401


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://127.0.0.1:9876"},
        {"origin": "http://127.0.0.1:9876", "x-forwarded-host": "127.0.0.1:9876"},
        {"origin": "http://localhost:1", "x-forwarded-host": "localhost:1", "x-forwarded-proto": "http"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "cross-site"},
        {"origin": "null"},
    ],
)
def test_without_a_login_pages_of_other_programs_here_are_strangers(headers: dict[str, str]) -> None:
    body = {"model": "default", "messages": [{"role": "user", "content": "Hi"}]}
    with walled(api_app(Settings())) as server, httpx.Client(trust_env=False, verify=False) as client:
        assert client.post(f"{server.url}/v1/chat/completions", json=body, headers=headers).status_code == 403
        assert client.post(f"{server.url}/gradio_api/queue/join", json={}, headers=headers).status_code == 403
        assert client.get(f"{server.url}/config", headers=headers).status_code == 403
        assert client.post(f"{server.url}/v1/chat/completions", json=body).status_code == 200


ODD = [b"evil@127.0.0.1", b"127.0.0.1#x", b"127.0.0.1/.evil", b"[::1].evil", b"127.0.0.1, evil", b"127.0.0.1?a", b""]


@pytest.mark.parametrize("settings", [{}, AUTH], ids=["local", "login"])
def test_a_host_is_a_host(settings: dict[str, str]) -> None:
    with walled(**settings) as server:
        for path in (b"/", b"/v1/models", b"/login"):
            for lines in [b"Host: %b\r\n" % host for host in ODD] + [b"", b"Host: localhost\r\nHost: localhost\r\n"]:
                answer = server.answer(b"GET %b HTTP/1.1\r\n%bConnection: close\r\n\r\n" % (path, lines))
                assert answer.startswith(b"HTTP/1.1 400"), (path, lines)


async def burst(server: Walled, count: int) -> list[int]:
    """The statuses of ``count`` guesses, the right one last: heads first, and all bodies together."""
    connections = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(count)]
    bodies = [b"username=ada&password=%06d" % number for number in range(count - 1)] + [b"username=ada&password=secret"]
    for (_, writer), body in zip(connections, bodies, strict=True):
        writer.write(b"POST /login HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n")
        writer.write(b"X-Forwarded-For: 6.6.6.%d\r\nContent-Length: %d\r\n\r\n" % (len(body), len(body)))
        await writer.drain()
    for (_, writer), body in zip(connections, bodies, strict=True):
        writer.write(body)
    answers = await asyncio.gather(*(reader.read() for reader, _ in connections))
    for _, writer in connections:
        writer.close()
    return [int(answer[9:12]) for answer in answers]


def test_a_burst_of_guesses_gains_nothing_and_the_owner_gets_in() -> None:
    with walled(**AUTH) as server:
        statuses = asyncio.run(burst(server, 300))
        assert statuses.count(401) <= 6
        assert statuses.count(429) >= 290
        with httpx.Client(base_url=server.url, trust_env=False, timeout=30, verify=False) as owner:
            assert owner.post("/login", data={"username": "ada", "password": "secret"}).status_code == 200
