"""Saved chats over HTTP: a login's, or a browser's by its signed cookie; never anybody's who knows an id."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio
import httpx
import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import Message, Scope

from qwen_app.http.visitors import chats_owner_of
from qwen_app.saved_chats.chat_json import LIMIT_BYTES, TOO_LARGE
from qwen_app.saved_chats.saved_chats import SavedChats, chats_in_memory
from qwen_app.saved_chats.values import ChatSummary, SavedChat, SavedMessage
from qwen_app.settings import Settings
from tests.web.web_app import bare_app

pytestmark = pytest.mark.anyio

MESSAGES = (
    SavedMessage("q", None, "user", "<b>Why</b> `x`?"),
    SavedMessage("a", "q", "assistant", "**Because**\n```python\nprint('<i>')\n```\n<script>alert(1)</script>"),
)
FOREIGN = {"origin": "http://evil.example"}


class Site:
    """One server with saved chats, and as many browsers as a test wants."""

    def __init__(self, **settings: str) -> None:
        self.saved: SavedChats = chats_in_memory()
        self.app = bare_app(Settings(**settings), self.saved)

        async def page(request: Request) -> PlainTextResponse:
            return PlainTextResponse(chats_owner_of(request))

        self.app.add_route("/", page)

    @asynccontextmanager
    async def browser(self, **options: str) -> AsyncGenerator[httpx.AsyncClient, None]:
        """A browser that has opened the page."""
        transport = httpx.ASGITransport(self.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost:7860") as web:
            if options:
                await web.post("/login", data=options)
            await web.get("/")
            yield web

    def keep(self, owner: str, name: str) -> None:
        self.saved.chats.save(owner, SavedChat(ChatSummary(name, f"Chat {name}"), MESSAGES, "a"))


async def ids(web: httpx.AsyncClient, search: str = "") -> list[str]:
    answer = await web.get("/chats", params={"search": search})
    return [chat["id"] for chat in answer.json()["chats"]]


async def test_a_browser_is_known_again_and_another_is_not() -> None:
    site = Site()
    async with site.browser() as ada, site.browser() as bob:
        owner = (await ada.get("/")).text
        assert owner.startswith("browser ")
        assert (await ada.get("/")).text == owner
        site.keep(owner, "c")
        assert await ids(ada) == ["c"]
        assert await ids(bob) == []


@pytest.mark.parametrize("forge", ["none", "unsigned", "other name", "signature of another"])
async def test_a_cookie_that_is_not_ours_owns_nothing(forge: str) -> None:
    site = Site()
    async with site.browser() as ada, site.browser() as bob:
        site.keep((await ada.get("/")).text, "c")
        ((name, value),) = ada.cookies.items()
        (_, other), browser = next(iter(bob.cookies.items())), value.partition(".")[0]
        forged = {
            "none": "",
            "unsigned": f"{name}={browser}",
            "other name": f"qwen_browser={value}",
            "signature of another": f"{name}={browser}.{other.partition('.')[2]}",
        }[forge]
        bob.cookies.clear()
        answer = await bob.get("/chats", headers={"cookie": forged})
        assert answer.status_code == 403
        assert "c" not in answer.text.replace("cookie", "").replace("chats", "").split()


TRIES = [
    ("PATCH", "/chats/c", {"title": "mine"}),
    ("PATCH", "/chats/c", {"pinned": True}),
    ("DELETE", "/chats/c", None),
    ("POST", "/chats/c/restore", None),
    ("GET", "/chats/c/export?as=json", None),
    ("GET", "/chats/c/export?as=html", None),
    ("POST", "/chats/c/links", {"days": 1}),
]


@pytest.mark.parametrize(("method", "path", "body"), TRIES)
async def test_who_knows_an_id_can_do_nothing_with_it(method: str, path: str, body: object) -> None:
    site = Site(auth="ada:lovelace,bob:builder")
    site.keep("login ada", "c")
    async with site.browser(username="bob", password="builder") as bob:
        answer = await bob.request(method, path, json=body)
        assert answer.status_code == 404
        assert "Because" not in answer.text
        assert (await bob.get("/chats/c/links")).json() == {"links": []}
        assert (await bob.delete("/chats")).json() == {"deleted": 0}
    found = site.saved.chats.load("login ada", "c")
    assert found is not None
    assert (found.summary.title, found.summary.pinned) == ("Chat c", False)


async def test_a_login_has_its_chats_in_every_browser() -> None:
    site = Site(auth="ada:lovelace")
    site.keep("login ada", "c")
    for _ in range(2):
        async with site.browser(username="ada", password="lovelace") as web:
            assert await ids(web) == ["c"]
            assert not any(name.startswith("qwen_browser") for name in web.cookies)
    async with site.browser() as stranger:
        assert (await stranger.get("/chats")).status_code == 401


async def test_pages_of_other_sites_neither_read_nor_change() -> None:
    site = Site()
    async with site.browser() as web:
        site.keep((await web.get("/")).text, "c")
        for method, path in (("GET", "/chats"), ("DELETE", "/chats"), ("DELETE", "/chats/c")):
            assert (await web.request(method, path, headers=FOREIGN)).status_code == 403
        assert await ids(web) == ["c"]


async def test_rename_pin_delete_and_undo() -> None:
    site = Site()
    async with site.browser() as web:
        owner = (await web.get("/")).text
        for name in ("a", "b"):
            site.saved.chats.save(owner, SavedChat(ChatSummary(name, name), ()))
        assert (await web.patch("/chats/a", json={"title": " New  name ", "pinned": True})).status_code == 200
        assert await ids(web) == ["a", "b"]
        assert await ids(web, "NEW n") == ["a"]
        await web.delete("/chats/a")
        assert await ids(web) == ["b"]
        await web.post("/chats/a/restore")
        assert await ids(web) == ["a", "b"]
        assert (await web.delete("/chats")).json() == {"deleted": 2}
        nothing: list[object] = [{}, {"title": None}, {"title": ""}]
        odd: list[object] = [*nothing, {"title": "x" * 500}, {"owner": "me"}, [], {"pinned": "maybe"}]
        for wrong in odd:
            assert (await web.patch("/chats/a", json=wrong)).status_code == 400


async def test_what_is_exported_as_json_comes_back_as_another_chat() -> None:
    site = Site()
    async with site.browser() as web:
        owner = (await web.get("/")).text
        site.keep(owner, "c")
        exported = await web.get("/chats/c/export", params={"as": "json"})
        made = (await web.post("/chats/import", content=exported.content)).json()["id"]
        assert made != "c"
        copy = site.saved.chats.load(owner, made)
        assert copy is not None
        assert [message.content for message in copy.path()] == [message.content for message in MESSAGES]
        assert {message.id for message in copy.messages}.isdisjoint({"q", "a"})


async def test_of_exports_that_a_visitor_does_not_read_one_is_held_and_his_list_still_comes() -> None:
    site = Site(auth="ada:secret")
    async with site.browser(username="ada", password="secret") as web:
        site.keep((await web.get("/")).text, "c")
        begun, read, made = anyio.Event(), anyio.Event(), 0

        async def unread() -> None:
            async def send(message: Message) -> None:
                nonlocal made
                made += message["type"] == "http.response.start"
                begun.set()
                await read.wait()

            request = web.build_request("GET", "/chats/c/export?as=json")
            scope: Scope = {"type": "http", "http_version": "1.1", "method": "GET", "path": "/chats/c/export"}
            scope |= {
                "query_string": b"as=json",
                "scheme": "http",
                "client": ("127.0.0.1", 1),
                "server": ("localhost", 7860),
            }
            headers = [(name.lower(), value) for name, value in request.headers.raw]
            await site.app({**scope, "headers": headers}, anyio.sleep_forever, send)

        async with anyio.create_task_group() as visitor:
            for _ in range(5):
                visitor.start_soon(unread)
            await begun.wait()
            assert await ids(web) == ["c"]
            assert made == 1
            read.set()
        assert made == 5


async def test_a_chat_of_many_messages_or_of_a_long_document_that_is_exported_comes_back_too() -> None:
    site = Site()
    async with site.browser() as web:
        owner = (await web.get("/")).text
        steps = [
            SavedMessage(f"m{at}", f"m{at - 1}" if at else None, "user" if at % 2 == 0 else "assistant", "x" * 400)
            for at in range(12_000)
        ]
        site.saved.chats.save(owner, SavedChat(ChatSummary("long", "Long"), tuple(steps), steps[-1].id))
        exported = await web.get("/chats/long/export", params={"as": "json"})
        assert len(exported.content) > 5 * 2**20
        made = (await web.post("/chats/import", content=exported.content)).json()["id"]
        copy = site.saved.chats.load(owner, made)
        assert copy is not None
        assert len(copy.path()) == len(steps)
        refused = await web.post("/chats/import", content=b" " * (LIMIT_BYTES + 1))
        assert (refused.status_code, refused.json()["detail"]) == (413, TOO_LARGE)


def chat_file(**changes: object) -> bytes:
    message = {"id": "q", "parent_id": None, "role": "user", "content": "hi"}
    return json.dumps({"format": "qwen-chat", "version": 1, "title": "t", "messages": [message], **changes}).encode()


WRONG_FILES = [
    b"",
    b"[]",
    b"{",
    b"[" * 100_000,
    chat_file(format="other"),
    chat_file(version=2),
    chat_file(messages=[]),
    chat_file(messages=[{"id": "a", "parent_id": None, "role": "assistant", "content": "x"}]),
    chat_file(messages=[{"id": "a", "parent_id": "a", "role": "user", "content": "x"}]),
    chat_file(messages=[{"id": "a", "parent_id": None, "role": "user", "content": "x"}] * 2),
    chat_file(messages=[{"id": "a", "parent_id": None, "role": "system", "content": "x"}]),
    chat_file(messages=[{"id": "a", "parent_id": None, "role": "user", "content": 5}]),
]


@pytest.mark.parametrize("data", WRONG_FILES, ids=range(len(WRONG_FILES)))
async def test_what_is_no_chat_is_refused_with_a_sentence(data: bytes) -> None:
    site = Site()
    async with site.browser() as web:
        answer = await web.post("/chats/import", content=data)
        assert answer.status_code == 400
        assert "no chat that was exported here" in answer.json()["detail"]
        assert await ids(web) == []


@pytest.mark.parametrize(
    ("kind", "said"), [("markdown", "# Chat c\n\n## User\n\n<b>Why</b>"), ("html", "&lt;b&gt;Why")]
)
async def test_exports_to_be_read(kind: str, said: str) -> None:
    site = Site()
    async with site.browser() as web:
        site.keep((await web.get("/")).text, "c")
        answer = await web.get("/chats/c/export", params={"as": kind})
        assert said in answer.text
        assert "attachment" in answer.headers["content-disposition"]
        if kind == "html":
            assert "<script" not in answer.text
            assert "<code class=\"language-python\">print('&lt;i&gt;')\n</code></pre>" in answer.text
            assert "<strong>Because</strong>" in answer.text


async def test_a_link_opens_for_everybody_and_shows_no_more_than_the_chat() -> None:
    site = Site(auth="ada:lovelace")
    site.keep("login ada", "c")
    async with site.browser(username="ada", password="lovelace") as ada, site.browser() as stranger:
        path = (await ada.post("/chats/c/links", json={"days": 1})).json()["path"]
        shown = await stranger.get(f"/{path}")
        assert shown.status_code == 200
        assert "Because" in shown.text
        assert "<script" not in shown.text
        assert "default-src 'none'" in shown.headers["content-security-policy"]
        (link,) = (await ada.get("/chats/c/links")).json()["links"]
        assert (await stranger.get(f"/s/{link['id']}")).status_code == 404
        assert (await ada.delete(f"/chats/links/{link['id']}")).status_code == 200
        assert (await stranger.get(f"/{path}")).status_code == 404
        for days in (0, 91, "x"):
            assert (await ada.post("/chats/c/links", json={"days": days})).status_code == 400


async def test_a_qr_code_is_a_picture_of_the_address() -> None:
    site = Site()
    async with site.browser() as web:
        answer = await web.get("/chats/qr", params={"url": "http://localhost:7860/s/abc"})
        assert answer.headers["content-type"] == "image/svg+xml"
        assert answer.text.startswith("<svg")
        assert (await web.get("/chats/qr", params={"url": "x" * 600})).status_code == 400
