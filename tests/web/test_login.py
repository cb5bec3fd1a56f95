from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request

from qwen_app.settings import Settings
from tests.web.web_app import bare_app

pytestmark = pytest.mark.anyio
BASE = "http://chat.example"
BROWSER = {"accept": "text/html,application/xhtml+xml"}
ADA = {"username": "ada", "password": "secret"}


def walled(**settings: Any) -> FastAPI:
    app = bare_app(Settings(auth="ada:secret,bob:other:word", **settings))

    @app.get("/{path:path}")
    async def whoami(request: Request) -> dict[str, Any]:
        return {"user": getattr(request.state, "user", None)}

    return app


def client(app: FastAPI, address: str = "203.0.113.5", base: str = BASE) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app, client=(address, 1)), base_url=base)


@pytest.mark.parametrize("path", ["/", "/config", "/gradio_api/queue/data", "/gradio_api/heartbeat/x", "/assets/a.js"])
async def test_nobody_gets_past_the_wall(path: str) -> None:
    async with client(walled()) as web:
        assert (await web.get(path)).status_code == 401
        shown = await web.get(path, headers=BROWSER)
        assert (shown.status_code, shown.headers["location"]) == (303, "/login")


@pytest.mark.parametrize("path", ["/v1/models", "/health", "/ready", "/metrics"])
async def test_the_api_guards_itself(path: str) -> None:
    async with client(walled()) as web:
        assert (await web.get(path)).status_code == 200


@pytest.mark.parametrize("path", ["/v1x", "/healthy", "/login/../config", "/x//v1/models"])
async def test_paths_that_only_look_like_the_apis(path: str) -> None:
    async with client(walled()) as web:  # the address in full: httpx takes the first of two slashes for its own
        assert (await web.get(f"{BASE}{path}")).status_code == 401


@pytest.mark.parametrize(("user", "password"), [("ada", "secret"), ("bob", "other:word")])
async def test_logging_in(user: str, password: str) -> None:
    async with client(walled()) as web:
        form = await web.get("/login", headers=BROWSER)
        assert 'name="password"' in form.text
        welcome = await web.post("/login", data={"username": user, "password": password}, headers=BROWSER)
        assert (welcome.status_code, welcome.headers["location"]) == (303, "/")
        assert (await web.get("/")).json() == {"user": user}


async def test_programs_log_in_too() -> None:
    async with client(walled()) as web:
        assert (await web.post("/login", data=ADA)).json() == {"success": True}
        assert (await web.post("/login", data=ADA | {"password": "no"})).status_code == 401


@pytest.mark.parametrize(("base", "secure"), [(BASE, False), ("https://chat.example", True)])
async def test_the_cookie_stays_with_the_browser(base: str, secure: bool) -> None:
    async with client(walled(), base=base) as web:
        cookie = (await web.post("/login", data=ADA)).headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert ("secure" in cookie) == secure


async def test_old_and_forged_cookies_lead_to_the_login() -> None:
    async with client(walled()) as web:
        for value in ("x", "a.b.c", "YWRh.99999999999.00", ""):
            response = await web.get("/", headers=BROWSER | {"cookie": f"qwen_session={value}"})
            assert response.headers["location"] == "/login"


@pytest.mark.slow
async def test_guessing_is_slowed_and_the_owner_elsewhere_gets_in() -> None:
    app = walled()
    async with client(app) as guesser, client(app, "203.0.113.99") as owner:
        guesses = await asyncio.gather(*(guesser.post("/login", data=ADA | {"password": "guess"}) for _ in range(30)))
        codes = [guess.status_code for guess in guesses]
        assert codes.count(401) == 5
        assert codes.count(429) == 25
        refused = next(guess for guess in guesses if guess.status_code == 429)
        assert 0 < int(refused.headers["retry-after"]) <= 60
        assert "Too many failed attempts" in refused.text
        assert (await owner.post("/login", data=ADA)).status_code == 200
        assert (await guesser.post("/login", data=ADA)).status_code == 200  # it waits for its turn


@pytest.mark.slow
@pytest.mark.parametrize(("trusted", "alone"), [("127.0.0.1", True), ("", False), ("10.0.0.0/8", False)])
async def test_behind_a_proxy_that_is_named_each_visitor_counts_alone(trusted: str, alone: bool) -> None:
    async with client(walled(trusted_proxy=trusted), "127.0.0.1") as tunnel:
        forged = [f"6.6.6.{number}, 203.0.113.7" for number in range(12)]
        guesses = await asyncio.gather(
            *(tunnel.post("/login", data=ADA | {"password": "x"}, headers={"x-forwarded-for": line}) for line in forged)
        )
        assert [guess.status_code for guess in guesses].count(401) == 5
        waiting = [guess.headers["retry-after"] for guess in guesses if guess.status_code == 429]
        assert len(waiting) == 7
        began = time.monotonic()
        other = await tunnel.post("/login", data=ADA, headers={"x-forwarded-for": "203.0.113.8"})
        assert other.status_code == 200
        assert (time.monotonic() - began < 1.5) == alone


async def test_signing_out_ends_the_session_on_the_server() -> None:
    app = walled()
    async with client(app) as web:
        await web.post("/login", data=ADA)
        cookie = {"cookie": f"qwen_session={web.cookies['qwen_session']}"}
        assert (await web.get("/logout")).status_code == 405
        assert (await web.post("/logout", headers={"origin": "http://evil.example"})).status_code == 403
        assert (await web.get("/")).status_code == 200
        gone = await web.post("/logout", headers=BROWSER)
        assert (gone.status_code, gone.headers["location"]) == (303, "/login")
        assert "max-age=0" in gone.headers["set-cookie"].lower()
        assert (await web.get("/")).status_code == 401
        assert (await web.get("/", headers=cookie)).status_code == 401


async def test_a_second_cookie_shuts_nobody_out() -> None:
    async with client(walled()) as web:
        await web.post("/login", data=ADA)
        both = f"qwen_session=tossed; qwen_session={web.cookies['qwen_session']}; qwen_session=tossed"
        assert (await web.get("/", headers={"cookie": both})).status_code == 200


async def test_a_large_form_is_refused_unread() -> None:
    read = 0

    async def endless() -> AsyncGenerator[bytes, None]:
        nonlocal read
        while True:
            read += 1
            yield b"a=b&" * 256

    async with client(walled()) as web:
        announced = await web.post("/login", content=b"", headers={"content-length": "4097"})
        assert announced.status_code == 413
        assert (await web.post("/login", content=endless())).status_code == 413
        assert read <= 6
        assert (await web.post("/login", content=b"a=b&" * 3)).status_code == 400


@pytest.mark.parametrize("body", [b"", b"\xff\xfe", b"username=ada", b"username=ada&password=%ff", b"a" * 4096])
async def test_odd_forms_are_refused(body: bytes) -> None:
    async with client(walled()) as web:
        assert (await web.post("/login", content=body)).status_code == 401
