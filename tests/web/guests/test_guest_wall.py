"""Guests over HTTP: their site and nothing else, in without a password, out at once; and the presenter's routes."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from qwen_app.saved_chats.saved_chats import SavedChats, open_saved_chats
from qwen_app.serve.asgi import build_asgi
from qwen_app.service import Service
from qwen_app.settings import Settings
from qwen_app.testing.scripted_engine import ScriptedEngine
from qwen_app.web.guests.guest_door import COOKIE, GuestDoor
from qwen_app.web.guests.guest_wall import TOLD_S
from qwen_app.web.wall import wall

pytestmark = pytest.mark.anyio
WISH = {"name": "Anna", "hours": 1, "turns": 3}
HTML = {"accept": "text/html"}
LOGINS = "ada:lovelace,bob:builder"
with_logins = pytest.mark.parametrize("server", [LOGINS], ids=["with logins"], indirect=True, scope="module")


class Server:
    """The whole app behind its wall, and as many browsers as a test wants."""

    def __init__(self, saved: SavedChats | None = None, **settings: str) -> None:
        asked, guests = Settings(**settings), GuestDoor()
        self.asgi = build_asgi(Service(ScriptedEngine()), asked, saved, guests)
        self.walled = wall(self.asgi, asked, guests=guests)

    @asynccontextmanager
    async def browser(self, **login: str) -> AsyncGenerator[httpx.AsyncClient, None]:
        transport = httpx.ASGITransport(self.walled)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost:7860") as web:
            if login:
                await web.post("/login", data=login)
            yield web

    @asynccontextmanager
    async def guest(self, presenter: httpx.AsyncClient) -> AsyncGenerator[httpx.AsyncClient, None]:
        invited = await presenter.post("/presenter/guests", json=WISH)
        async with self.browser() as web:
            assert (await web.get("/" + invited.json()["path"])).headers["location"] == "/"
            yield web


@asynccontextmanager
async def running(saved: SavedChats | None = None, **settings: str) -> AsyncGenerator[Server, None]:
    server = Server(saved, **settings)
    async with server.asgi.router.lifespan_context(server.asgi):
        yield server


@pytest.fixture(params=["", LOGINS], ids=["local", "with logins"], scope="module")
async def server(request: pytest.FixtureRequest, anyio_backend: str) -> AsyncGenerator[Server, None]:
    async with running(auth=request.param) as server:
        yield server


@pytest.fixture
async def presenter(server: Server) -> AsyncGenerator[httpx.AsyncClient, None]:
    async with server.browser(username="ada", password="lovelace") as web:
        yield web


async def test_a_guest_comes_in_by_the_link_alone(server: Server, presenter: httpx.AsyncClient) -> None:
    async with server.guest(presenter) as guest:
        assert "guest-line" in (await guest.get("/")).text
        told = (await guest.get("/guest/me")).json()
        assert (told["name"], told["turns_left"], told["paused"]) == ("Anna", 3, False)


BARRED = [
    *("/v1/models", "/v1/chat/completions", "/v1/openapi.json", "/metrics", "/tokenize", "/api", "/status/stream"),
    *("/presenter", "/share-link", "/chats/qr?url=x", "/chats/import", "/chats/c/export?as=json", "/chats/c/links"),
    *("/uploads/table", "/monitoring", "/docs"),
]


async def test_nothing_of_the_developers_is_there(server: Server, presenter: httpx.AsyncClient) -> None:
    let_in = []
    async with server.guest(presenter) as guest:
        for path in BARRED:
            for method in ("GET", "POST", "DELETE"):
                answer = await guest.request(method, path, json={} if method == "POST" else None)
                if answer.status_code not in (400, 403, 404, 405) or "scripted" in answer.text:
                    let_in.append((method, path, answer.status_code))
    assert let_in == []


async def test_the_guests_page_has_the_chats_handlers_alone(server: Server, presenter: httpx.AsyncClient) -> None:
    async with server.guest(presenter) as guest:
        config = (await guest.get("/config")).json()
        ids = {component["props"].get("elem_id") for component in config["components"]}
        assert "composer" in ids
        assert not ids & {"json-lab-tab", "tools-tab", "files-tab", "performance-tab", "presenting-tab", "status-tab"}
        assert not [one for one in config["dependencies"] if one["api_name"] == "chat"]


async def test_guests_have_their_own_chats(server: Server, presenter: httpx.AsyncClient) -> None:
    async with server.guest(presenter) as anna, server.guest(presenter) as bob:
        for web in (anna, bob):
            assert (await web.get("/chats")).json() == {"chats": []}
        assert anna.cookies[COOKIE] != bob.cookies[COOKIE]


async def test_a_revoked_guest_is_out_and_is_nobody_else(server: Server, presenter: httpx.AsyncClient) -> None:
    async with server.guest(presenter) as guest:
        newest = (await presenter.get("/presenter")).json()["guests"][0]
        assert newest["path"]
        await presenter.delete(f"/presenter/guests/{newest['id']}")
        for path in ("/", "/config", "/chats", "/presenter", "/v1/models"):
            answer = await guest.get(path, headers=HTML)
            assert answer.status_code == 403
            assert "over" in answer.text
        assert (await guest.get("/" + newest["path"])).status_code == 403
        await guest.post("/guest/leave")
        assert COOKIE not in guest.cookies


async def test_a_guest_whose_time_is_over_is_told_so_and_is_nobody_else(
    server: Server, presenter: httpx.AsyncClient
) -> None:
    async with server.browser() as guest:
        invited = (await presenter.post("/presenter/guests", json=WISH)).json()
        welcome = await guest.get("/" + invited["path"])
        kept_s = int(re.findall(r"Max-Age=(\d+)", welcome.headers["set-cookie"])[0])
        assert time.time() + kept_s > invited["expires_at"] + TOLD_S / 2


async def test_a_revocation_that_was_not_written_is_no_success(tmp_path: Path) -> None:
    saved = open_saved_chats(tmp_path, "")

    def take_nothing_more() -> None:
        with saved.chats.engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA query_only = ON")

    async with running(saved) as server, server.browser() as presenter, server.guest(presenter) as guest:
        newest = (await presenter.get("/presenter")).json()["guests"][0]
        await saved.run(take_nothing_more)
        answer = await presenter.delete(f"/presenter/guests/{newest['id']}")
        assert (answer.status_code, answer.json()["code"]) == (507, "disk_full")
        assert "a restart would open the link again" in answer.json()["detail"]
        assert (await guest.get("/chats")).status_code == 403
        assert "could not be written" in (await presenter.get("/ready")).text


@with_logins
@pytest.mark.parametrize("change", ["name", "cut", "other"])
async def test_a_forged_cookie_opens_nothing(server: Server, presenter: httpx.AsyncClient, change: str) -> None:
    async with server.guest(presenter) as guest, server.browser() as stranger:
        good = guest.cookies[COOKIE]
        link = (await presenter.get("/presenter")).json()["guests"][0]["path"].removeprefix("g/")
        forged = {"name": "0" * 16 + good[16:], "cut": good[:-1], "other": link}[change]
        assert (await stranger.get("/guest/me", headers={"cookie": f"{COOKIE}={forged}"})).status_code == 401
        assert (await stranger.get("/g/" + good)).status_code == 403


@with_logins
async def test_only_the_first_login_presents(server: Server) -> None:
    async with server.browser(username="bob", password="builder") as bob:
        for method, path in (("GET", ""), ("POST", "/guests"), ("POST", "/stop"), ("POST", "/pause")):
            answer = await bob.request(method, f"/presenter{path}", json=WISH)
            assert answer.status_code == 403
    async with server.browser() as stranger:
        assert (await stranger.get("/presenter")).status_code == 401
        assert (await stranger.get("/guest/me")).status_code == 401


@with_logins
async def test_a_login_is_more_than_a_guest(server: Server, presenter: httpx.AsyncClient) -> None:
    invited = (await presenter.post("/presenter/guests", json=WISH)).json()
    answer = await presenter.get("/" + invited["path"])
    assert answer.status_code == 403
    assert "logged in" in answer.text
    async with server.guest(presenter) as guest:
        await guest.post("/login", data={"username": "bob", "password": "builder"})
        assert (await guest.get("/v1/models")).status_code == 200
        assert (await guest.get("/presenter")).status_code == 403


async def test_a_link_works_under_a_root_path() -> None:
    async with (
        running(auth=LOGINS, root_path="/qwen") as server,
        server.browser(username="ada", password="lovelace") as ada,
        server.browser() as web,
    ):
        path = (await ada.post("/qwen/presenter/guests", json=WISH)).json()["path"]
        assert (await web.get(f"/qwen/{path}")).headers["location"] == "/qwen/"
        assert (await web.get("/qwen/guest/me")).json()["name"] == "Anna"


@pytest.mark.parametrize("wish", [{}, WISH | {"hours": 0}, WISH | {"turns": -1}, WISH | {"name": ""}, WISH | {"x": 1}])
async def test_a_bad_invitation_is_told(presenter: httpx.AsyncClient, wish: dict[str, object]) -> None:
    answer = await presenter.post("/presenter/guests", json=wish)
    assert answer.status_code == 400
    assert answer.json()["detail"]


async def test_pause_and_resume(server: Server, presenter: httpx.AsyncClient) -> None:
    async with server.guest(presenter) as guest:
        await presenter.post("/presenter/pause")
        assert (await guest.get("/guest/me")).json()["paused"]
        assert (await presenter.get("/presenter")).json()["paused"]
        await presenter.post("/presenter/resume")
        assert not (await guest.get("/guest/me")).json()["paused"]


async def test_pages_of_other_sites_present_nothing(presenter: httpx.AsyncClient) -> None:
    for method, path in (("GET", "/presenter"), ("POST", "/presenter/stop"), ("POST", "/presenter/guests")):
        answer = await presenter.request(method, path, headers={"origin": "http://evil.example"}, json=WISH)
        assert answer.status_code == 403
