"""The routes that take a chat out of the page and bring one in: export, import, links for others."""

from __future__ import annotations

import asyncio
from io import BytesIO
from urllib.parse import quote

import segno
from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse, Response

from qwen_app.errors import NotFound, RequestError
from qwen_app.http.turns import Turnstile
from qwen_app.saved_chats.chat_json import chat_json, read_chat
from qwen_app.saved_chats.export_html import chat_html
from qwen_app.saved_chats.export_markdown import chat_markdown
from qwen_app.saved_chats.saved_chats import SavedChats
from qwen_app.saved_chats.values import SavedChat
from qwen_app.web.chats.routes import CHATS_PATH, body_of, own
from qwen_app.web.chats.shared_page import SHARED_PATH

LIMIT_DAYS = 90
LIMIT_QR_CHARS = 500
_DAY_S = 86_400.0
_KINDS = {"markdown": (".md", "text/markdown"), "html": (".html", "text/html"), "json": (".json", "application/json")}


class LinkWish(BaseModel):
    """How long a new link is to work."""

    model_config = ConfigDict(extra="forbid")

    days: int = Field(ge=1, le=LIMIT_DAYS)


def build_link_routes(saved: SavedChats) -> APIRouter:
    """To be included before the routes that take any id."""
    router = APIRouter(include_in_schema=False)
    _add_import_and_export(router, saved)
    _add_links(router, saved)
    return router


def _add_import_and_export(router: APIRouter, saved: SavedChats) -> None:
    turnstile = Turnstile()

    @router.post(CHATS_PATH + "/import")
    @own(saved)
    async def bring_in(request: Request, owner: str) -> Response:
        """A whole file, which ``read_chat`` bounds: more of JSON than the page itself sends."""
        async with turnstile.passing(owner):
            chat = await asyncio.to_thread(read_chat, await request.body())
        await saved.run(saved.chats.save, owner, chat)
        return JSONResponse({"id": chat.summary.id})

    @router.get(CHATS_PATH + "/{chat_id}/export")
    @own(saved, "export")  # of a turn of its own: to a slow connection it takes a while
    async def export(request: Request, owner: str) -> Response:
        found = await saved.run(saved.chats.load, owner, request.path_params["chat_id"])
        kind = request.query_params.get("as", "")
        if found is None or kind not in _KINDS:
            raise NotFound("There is no such chat of yours.")
        return await asyncio.to_thread(_download, found, kind)


def _add_links(router: APIRouter, saved: SavedChats) -> None:
    @router.get(CHATS_PATH + "/qr")
    @own(saved)
    async def picture(request: Request, owner: str) -> Response:
        """The QR code of an address, as SVG."""
        url = request.query_params.get("url", "")
        if not url or len(url) > LIMIT_QR_CHARS:
            raise RequestError("A QR code needs an address, and not too long a one.")
        return Response(await asyncio.to_thread(_qr_code, url), media_type="image/svg+xml")

    @router.get(CHATS_PATH + "/{chat_id}/links")
    @own(saved)
    async def links(request: Request, owner: str) -> Response:
        found = await saved.run(saved.shares.links, owner, request.path_params["chat_id"])
        return JSONResponse({"links": [{"id": link.id, "expires_at": link.expires_at} for link in found]})

    @router.post(CHATS_PATH + "/{chat_id}/links")
    @own(saved)
    async def share(request: Request, owner: str) -> Response:
        wish = LinkWish.model_validate_json(await body_of(request))
        token = await saved.run(saved.shares.share, owner, request.path_params["chat_id"], wish.days * _DAY_S)
        return JSONResponse({"path": f"{SHARED_PATH.lstrip('/')}/{token}"})

    @router.delete(CHATS_PATH + "/links/{link_id}")
    @own(saved)
    async def revoke(request: Request, owner: str) -> Response:
        if not await saved.run(saved.shares.revoke, owner, request.path_params["link_id"]):
            raise NotFound("There is no such link of yours.")
        return JSONResponse({"done": True})


def _qr_code(url: str) -> bytes:
    drawn = BytesIO()
    segno.make(url, error="m").save(drawn, kind="svg", scale=4, border=3, xmldecl=False, svgns=True)
    return drawn.getvalue()


def _download(chat: SavedChat, kind: str) -> Response:
    ending, media_type = _KINDS[kind]
    name = quote((chat.summary.title[:60].strip() or "chat").replace("/", "-") + ending)
    headers = {"content-disposition": f"attachment; filename*=UTF-8''{name}", "cache-control": "no-store"}
    return Response(_written(chat, kind), media_type=media_type, headers=headers)


def _written(chat: SavedChat, kind: str) -> str:
    if kind == "json":
        return chat_json(chat)
    title, path = chat.summary.title, chat.path()
    return chat_markdown(title, path) if kind == "markdown" else chat_html(title, path)
