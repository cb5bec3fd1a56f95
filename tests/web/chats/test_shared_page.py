"""What a link shows costs its drawing once, however many strangers ask."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from threading import Lock

import httpx
import pytest
from fastapi import FastAPI

from qwen_app.saved_chats.export_html import chat_html
from qwen_app.saved_chats.saved_chats import SavedChats, chats_in_memory
from qwen_app.saved_chats.values import ChatSummary, SavedChat, SavedMessage
from qwen_app.settings import Settings
from qwen_app.web.chats import shared_page
from tests.web.web_app import bare_app

pytestmark = pytest.mark.anyio

DAY_S = 86_400.0


class Drawings:
    """Counts the pages that are drawn, and those at the same time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.number, self.at_once, self.most_at_once, self._lock = 0, 0, 0, Lock()
        monkeypatch.setattr(shared_page, "chat_html", self._draw)

    def _draw(self, title: str, messages: Sequence[SavedMessage], *, limit_chars: int | None = None) -> str:
        with self._lock:
            self.number += 1
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        time.sleep(0.05)  # so that others would be drawn meanwhile
        page = chat_html(title, messages, limit_chars=limit_chars)
        with self._lock:
            self.at_once -= 1
        return page


@pytest.fixture
def drawings(monkeypatch: pytest.MonkeyPatch) -> Drawings:
    return Drawings(monkeypatch)


@pytest.fixture
def saved() -> SavedChats:
    return chats_in_memory()


def shared(saved: SavedChats, name: str, text: str) -> str:
    """The address of a link to a chat that says ``text``."""
    said = (SavedMessage(f"{name}q", None, "user", "?"), SavedMessage(f"{name}a", f"{name}q", "assistant", text))
    saved.chats.save("ada", SavedChat(ChatSummary(name, name), said, f"{name}a"))
    return f"/s/{saved.shares.share('ada', name, DAY_S)}"


@pytest.fixture
def app(saved: SavedChats) -> FastAPI:
    return bare_app(Settings(), saved)


def stranger(app: FastAPI, address: str = "203.0.113.7") -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app, client=(address, 1))
    return httpx.AsyncClient(transport=transport, base_url="http://localhost:7860")


async def test_a_link_is_drawn_once_however_often_it_is_asked_for(
    app: FastAPI, saved: SavedChats, drawings: Drawings
) -> None:
    path = shared(saved, "c", "a|b\n-|-\n" + "|a|\n" * 500)
    async with stranger(app) as web:
        pages = [await web.get(path) for _ in range(5)] + await asyncio.gather(*(web.get(path) for _ in range(10)))
    assert {page.status_code for page in pages} == {200}
    assert len({page.text for page in pages}) == 1
    assert drawings.number == 1


async def test_pages_are_drawn_one_after_another(app: FastAPI, saved: SavedChats, drawings: Drawings) -> None:
    paths = [shared(saved, f"c{number}", "**a** " * 2000) for number in range(6)]

    async def ask(number: int) -> int:
        async with stranger(app, f"203.0.113.{number}") as web:
            return (await web.get(paths[number])).status_code

    assert await asyncio.gather(*map(ask, range(6))) == [200] * 6
    assert (drawings.number, drawings.most_at_once) == (6, 1)


async def test_a_page_that_is_kept_shows_what_is_true_now(app: FastAPI, saved: SavedChats, drawings: Drawings) -> None:
    path = shared(saved, "c", "said")
    async with stranger(app) as web:
        assert "<h1>c</h1>" in (await web.get(path)).text
        saved.chats.rename("ada", "c", "Another name", "user")
        assert "<h1>Another name</h1>" in (await web.get(path)).text
        saved.chats.delete("ada", "c")
        assert (await web.get(path)).status_code == 404
        saved.chats.restore("ada", "c")
        assert (await web.get(path)).status_code == 200
        (link,) = saved.shares.links("ada", "c")
        saved.shares.revoke("ada", link.id)
        gone = await web.get(path)
        assert (gone.status_code, "said" in gone.text) == (404, False)
    assert drawings.number == 3


async def test_pages_are_kept_within_bounds(
    app: FastAPI, saved: SavedChats, drawings: Drawings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_page, "KEPT_BYTES", 30_000)
    paths = [shared(saved, f"c{number}", "a " * 6000) for number in range(3)]
    async with stranger(app) as web:
        for number in (0, 0, 1, 2, 2, 0):
            assert (await web.get(paths[number])).status_code == 200
    assert drawings.number == 4


async def test_a_chat_of_any_length_makes_a_page_of_a_bounded_one(
    app: FastAPI, saved: SavedChats, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_page, "PAGE_CHARS", 10_000)
    path = shared(saved, "c", '"' * 20_000)
    async with stranger(app) as web:
        page = (await web.get(path)).text
    assert "Only the end" in page
    assert len(page) < 20_000
