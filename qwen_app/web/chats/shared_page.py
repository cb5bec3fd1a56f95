"""What a link to a chat shows: the chat as one page that needs nothing else, to whoever has the link."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, Response

from qwen_app.errors import TooManyRequests
from qwen_app.http.visitors import visitor_of
from qwen_app.saved_chats.export_html import chat_html, plain_page
from qwen_app.saved_chats.saved_chats import SavedChats

SHARED_PATH = "/s"
# No script and nothing from elsewhere: whatever a chat holds, it is only drawn.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
_HEADERS = {
    "content-security-policy": _POLICY,
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
    "x-robots-tag": "noindex",
}
_BUSY = "Many ask for this just now. Try again in a few seconds. 当前请求较多，请几秒后重试。"
_GONE = "This link shows nothing any more. 此链接已失效。"


def build_shared_page(saved: SavedChats) -> APIRouter:
    """``/s/<token>``, without a login."""
    router = APIRouter(include_in_schema=False)

    @router.get(SHARED_PATH + "/{token}")
    async def shared(request: Request) -> Response:
        try:
            async with saved.turns.of(f"link {visitor_of(request)}"):
                shown = await saved.run(saved.shares.shown, request.path_params["token"])
                if shown is None:
                    return HTMLResponse(plain_page(_GONE), 404, _HEADERS)
                chat, messages = shown
                page = await asyncio.to_thread(chat_html, chat.summary.title, messages)
                return HTMLResponse(page, headers=_HEADERS)
        except TooManyRequests:
            return HTMLResponse(plain_page(_BUSY), 429, {**_HEADERS, "retry-after": "5"})

    return router
