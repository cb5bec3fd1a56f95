from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from qwen_app.http.forwarded import FORWARDING_HEADERS
from qwen_app.http.middleware import BODY_LIMIT_BYTES
from qwen_app.http.paths import API_PATHS
from qwen_app.serve.asgi import build_asgi
from qwen_app.service import Service
from qwen_app.settings import Settings
from qwen_app.testing.scripted_engine import ScriptedEngine
from qwen_app.web.wall import wall
from tests.web.web_app import api_paths, bare_app

pytestmark = pytest.mark.anyio
HERE = "http://localhost:7860"


def guarded(**settings: Any) -> FastAPI:
    app = bare_app(Settings(**settings))

    @app.api_route("/{path:path}", methods=["GET", "POST"])
    async def echo(request: Request) -> dict[str, Any]:
        return {"bytes": len(await request.body()), "id": request.state.request_id}

    return app


def client(app: ASGIApp, base: str = HERE, **options: Any) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=base, **options)


async def test_headers_on_every_answer() -> None:
    async with client(guarded()) as web:
        for path in ("/", "/v1/models", "/gradio_api/token", "/nothing"):
            headers = (await web.get(path)).headers
            assert "object-src 'none'" in headers["content-security-policy"]
            assert "img-src 'self' data: blob:" in headers["content-security-policy"]
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["referrer-policy"] == "same-origin"
            assert headers["x-request-id"]


async def test_the_request_id_is_the_apps_own() -> None:
    async with client(guarded()) as web:
        response = await web.get("/", headers={"x-request-id": "forged"})
        assert response.headers["x-request-id"] == response.json()["id"] != "forged"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"origin": HERE}, 200),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://localhost:7861"}, 403),
        ({"origin": "http://[bad"}, 403),
        ({"origin": ""}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-origin"}, 200),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"origin": HERE, "sec-fetch-site": "same-site"}, 403),
        ({"origin": "https://localhost:7860"}, 403),
        ({"origin": "https://pod.example", "x-forwarded-host": "pod.example"}, 403),
        ({"origin": "http://localhost:9876", "x-forwarded-host": "localhost:9876"}, 403),
    ],
)
async def test_pages_of_other_sites_change_nothing(headers: dict[str, str], status: int) -> None:
    async with client(guarded()) as web:
        call = {"session_hash": "s", "data": []}
        assert (await web.post("/gradio_api/queue/join", json=call, headers=headers)).status_code == status
        assert (await web.get("/", headers=headers)).status_code == 200
        for path in ("/config", "/gradio_api/queue/data?session_hash=s", "/gradio_api/info"):
            assert (await web.get(path, headers=headers)).status_code == status


async def test_nothing_behind_the_wall_hears_for_whom_a_stranger_claims_to_speak() -> None:
    heard: list[str] = []

    async def listening(scope: Scope, receive: Receive, send: Send) -> None:
        heard.extend(Headers(scope=scope).keys())
        await PlainTextResponse("")(scope, receive, send)

    async with client(wall(listening, Settings())) as web:
        await web.get("/x", headers={"x-own": "yes"} | dict.fromkeys(FORWARDING_HEADERS, "evil.example"))
    assert "x-own" in heard
    assert not set(FORWARDING_HEADERS) & set(heard)


async def test_a_proxy_that_is_named_says_which_name_the_page_has() -> None:
    forwarded = {"x-forwarded-host": "pod.example", "x-forwarded-proto": "https"}
    app = guarded(auth="ada:secret", trusted_proxy="127.0.0.1")
    async with client(app, cookies=await logged_in(app)) as web:
        for origin, status in (("https://pod.example", 200), ("http://pod.example", 403), (HERE, 403)):
            response = await web.post("/x", headers={"origin": origin, **forwarded})
            assert response.status_code == status


async def logged_in(app: FastAPI) -> httpx.Cookies:
    async with client(app) as web:
        await web.post("/login", data={"username": "ada", "password": "secret"})
        return web.cookies


@pytest.mark.parametrize("host", ["evil.example", "evil.example:7860", "192.168.1.5", "127.0.0.1.nip.io", "0.0.0.0"])
async def test_without_a_login_the_page_has_local_names_only(host: str) -> None:
    async with client(guarded()) as web:
        response = await web.get("/", headers={"host": host})
        assert response.status_code == 403
        assert "QWEN_AUTH" in response.json()["detail"]
        assert (await web.get("/health", headers={"host": host})).status_code == 200


@pytest.mark.parametrize("host", ["[bad", "", "evil@127.0.0.1", "127.0.0.1#x", "127.0.0.1/.evil", "[::1].evil"])
async def test_odd_hosts_are_nobodys(host: str) -> None:
    async with client(guarded()) as web:
        assert (await web.get("/", headers={"host": host})).status_code == 400
        assert (await web.get("/v1/models", headers={"host": host})).status_code == 400
        assert (await web.get("/health", headers={"host": host})).status_code == 200


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:7860", "[::1]:7860"])
async def test_local_names(host: str) -> None:
    async with client(guarded()) as web:
        assert (await web.get("/", headers={"host": host})).status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/gradio_api/token",
        "/gradio_api/file=/etc/passwd",
        "/gradio_api/file=http://169.254.169.254/",
        "/gradio_api/proxy=http://evil.example/",
        "/gradio_api/component_server",
        "/gradio_api/run/send",
        "/gradio_api/call/send",
        "/gradio_api/deep_link",
        "/gradio_api/openapi.json",
        "/gradio_api/process_recording",
        "/gradio_api/profiling/traces",
        "/gradio_api/runs",
        "/gradio_api/user",
        "/monitoring",
        "/monitoring/summary",
    ],
)
async def test_what_the_page_does_not_use_is_not_there(path: str) -> None:
    async with client(guarded()) as web:
        assert (await web.get(path)).status_code == 404
        assert (await web.post(path)).status_code == 404


async def chunks(total: int) -> AsyncGenerator[bytes, None]:
    for _ in range(total // 65536):
        yield b"x" * 65536


async def test_bodies_are_bounded_announced_or_not() -> None:
    async with client(guarded()) as web:
        fits = await web.post("/x", content=b"x" * BODY_LIMIT_BYTES)
        assert fits.json()["bytes"] == BODY_LIMIT_BYTES
        assert (await web.post("/x", content=b"x" * (BODY_LIMIT_BYTES + 1))).status_code == 413
        assert (await web.post("/x", content=chunks(2 * BODY_LIMIT_BYTES))).status_code == 413


@pytest.fixture(scope="module")
async def app(anyio_backend: str) -> FastAPI:
    """The whole one, which these tests only read."""
    # with the loop running, for Gradio makes loops of its own otherwise and never closes them
    return build_asgi(Service(ScriptedEngine()), Settings())


@pytest.mark.slow
async def test_no_answer_may_be_read_by_a_page_of_another_origin(app: FastAPI) -> None:
    foreign = {"origin": "http://neighbour.example", "access-control-request-method": "GET"}
    async with client(wall(app, Settings(auth="ada:secret"))) as web:
        await web.post("/login", data={"username": "ada", "password": "secret"})
        for path in ("/", "/config", "/health", "/v1/models", "/v1/docs", "/gradio_api/info", "/theme.css", "/nothing"):
            for method in ("GET", "OPTIONS", "POST"):
                headers = (await web.request(method, path, headers=foreign)).headers
                assert [name for name in headers if name.startswith("access-control-")] == []


async def test_an_origin_that_is_named_may_use_the_api_and_nothing_else() -> None:
    app = guarded(api_origins="https://app.example:8443")
    async with client(app) as web:
        named = {"origin": "https://app.example:8443", "sec-fetch-site": "cross-site"}
        answer = await web.post("/v1/x", headers=named)
        assert answer.status_code == 200
        assert answer.headers["access-control-allow-origin"] == named["origin"]
        assert "access-control-allow-credentials" not in answer.headers
        asked = {"access-control-request-method": "POST", "access-control-request-headers": "authorization,x-a"}
        preflight = await web.options("/v1/x", headers=named | asked)
        assert preflight.status_code == 204
        assert preflight.headers["access-control-allow-headers"] == "authorization,x-a"
        page = await web.post("/gradio_api/queue/join", headers=named)
        assert page.status_code == 403
        assert "access-control-allow-origin" not in page.headers
        other = await web.post("/v1/x", headers={"origin": "https://app.example"})
        assert other.status_code == 403
        assert "--api-origins" in other.json()["error"]["message"]


async def test_the_page_itself(app: FastAPI) -> None:
    async with client(wall(app, Settings())) as web:
        page = await web.get("/")
        assert page.status_code == 200
        assert "Chat with Qwen" in page.text
        config = (await web.get("/config")).json()
        assert config["footer_links"] == []
        assert not config.get("run_history")
        assert not config.get("analytics_enabled")
        kept_by_the_browser = set(re.findall(r"localStorage\.setItem\(([^,]+),", config.get("js", "")))
        assert kept_by_the_browser <= {'"settings-folded"', '"look"', '"notice"', "draftKey()"}  # no conversation


async def test_one_public_endpoint(app: FastAPI) -> None:
    async with client(wall(app, Settings())) as web:
        info = (await web.get("/gradio_api/info")).json()
        assert set(info["named_endpoints"]) == {"/chat"}
        assert info["unnamed_endpoints"] == {}


def test_gradio_holds_nobody_back(app: FastAPI) -> None:
    """The engine's own queue decides who runs."""
    blocks = app.state.blocks
    assert blocks._queue.default_concurrency_limit is None
    queued = [handler for handler in blocks.fns.values() if handler.queue]
    assert {handler.concurrency_limit for handler in queued} == {"default"}


def test_the_paths_of_the_api_are_known_beforehand() -> None:
    assert api_paths()._prefixes == API_PATHS._prefixes
