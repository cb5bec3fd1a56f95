"""What a link to a chat shows: the chat as one page that needs nothing else, to whoever has the link."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, Response

from qwen_app.errors import TooManyRequests
from qwen_app.http.visitors import visitor_of
from qwen_app.saved_chats.export_html import chat_html, plain_page
from qwen_app.saved_chats.saved_chats import SavedChats
from qwen_app.saved_chats.values import SavedChat, SavedMessage

SHARED_PATH = "/s"
# No script and nothing from elsewhere: whatever a chat holds, it is only drawn.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
_HEADERS = {
    "content-security-policy": _POLICY,
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
    "x-robots-tag": "noindex",
}
PAGE_CHARS = 4 * 2**20  # of a page's HTML, the newest messages
KEPT_BYTES = 64 * 2**20  # of all pages: several of the longest
_BUSY = "Many ask for this just now. Try again in a few seconds. 当前请求较多，请几秒后重试。"
_GONE = "This link shows nothing any more. 此链接已失效。"


@dataclass(frozen=True, slots=True)
class _Page:
    """A drawn page, and the version of the chat that it shows."""

    version: str
    html: bytes


class _Pages:
    """The pages of links, each drawn once for all who ask, and one at a time: strangers ask. For one event loop."""

    def __init__(self, saved: SavedChats) -> None:
        self._saved = saved
        self._drawing = asyncio.Lock()
        self._kept: OrderedDict[str, _Page] = OrderedDict()  # by their tokens, last asked for last

    async def page(self, token: str) -> bytes | None:
        """What the link shows; None where it opens nothing (any more)."""
        version = await self._saved.run(self._saved.shares.version, token)
        if version is None:
            self._kept.pop(token, None)
            return None
        if not self._holds(token, version):
            async with self._drawing:
                if not self._holds(token, version):  # nobody drew it meanwhile
                    await self._draw(token, version)
        page = self._kept.get(token)
        return page.html if page else None

    def _holds(self, token: str, version: str) -> bool:
        if token not in self._kept or self._kept[token].version != version:
            return False
        self._kept.move_to_end(token)
        return True

    async def _draw(self, token: str, version: str) -> None:
        self._kept.pop(token, None)
        shown = await self._saved.run(self._saved.shares.shown, token)
        if shown is not None:
            self._kept[token] = _Page(version, await asyncio.to_thread(_drawn, *shown))
        while sum(len(page.html) for page in self._kept.values()) > KEPT_BYTES:
            self._kept.popitem(last=False)


def _drawn(chat: SavedChat, messages: Sequence[SavedMessage]) -> bytes:
    return chat_html(chat.summary.title, messages, limit_chars=PAGE_CHARS).encode()


def build_shared_page(saved: SavedChats) -> APIRouter:
    """``/s/<token>``, without a login."""
    router = APIRouter(include_in_schema=False)
    pages = _Pages(saved)

    @router.get(SHARED_PATH + "/{token}")
    async def shared(request: Request) -> Response:
        try:
            async with saved.turns.of(f"link {visitor_of(request)}"):
                page = await pages.page(request.path_params["token"])
            return HTMLResponse(page or plain_page(_GONE), 200 if page else 404, _HEADERS)
        except TooManyRequests:
            return HTMLResponse(plain_page(_BUSY), 429, {**_HEADERS, "retry-after": "5"})

    return router
