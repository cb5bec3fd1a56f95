"""The routes behind the page's list of chats. All of them speak of the asker's own chats alone."""

from __future__ import annotations

import functools
import logging
import secrets
from collections.abc import Awaitable, Callable
from typing import Self

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field, model_validator
from sqlalchemy.exc import SQLAlchemyError
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from qwen_app.errors import (
    AppError,
    DiskFull,
    EngineUnavailable,
    NotFound,
    PermissionDenied,
    RequestError,
    TooLarge,
    TooManyRequests,
)
from qwen_app.http.json_bounds import PAGE_BOUNDS
from qwen_app.http.turns import Turns
from qwen_app.http.visitors import chats_owner_of, visitor_of
from qwen_app.saved_chats.integrity import cannot_write
from qwen_app.saved_chats.saved_chats import SavedChats
from qwen_app.saved_chats.values import LIMIT_TITLE_CHARS, ChatSummary

log = logging.getLogger(__name__)

CHATS_PATH = "/chats"
LIMIT_SEARCH_CHARS = 200
LIMIT_WISH_BYTES = 4096  # of a body that asks for a change
Handler = Callable[[Request, str], Awaitable[Response]]

_NOBODY = "This browser keeps no cookies, so there are no chats to show. Allow cookies and reload the page."
_NO_CHAT = "There is no such chat of yours."


class ChatChange(BaseModel):
    """What of a chat's line is to be changed."""

    model_config = ConfigDict(extra="forbid")

    title: str | None = Field(None, min_length=1, max_length=LIMIT_TITLE_CHARS)
    pinned: bool | None = None

    @model_validator(mode="after")
    def _changes_something(self) -> Self:
        if self.title is None and self.pinned is None:
            raise ValueError("Say what is to be changed: title or pinned.")
        return self


def build_chat_routes(saved: SavedChats) -> APIRouter:
    """List, search, rename, pin, delete, take back, delete everything."""
    router = APIRouter(include_in_schema=False)
    server = secrets.token_hex(8)  # another one after a restart: so a page knows that the server was away

    @router.get(CHATS_PATH + "/server")
    async def which() -> JSONResponse:
        return JSONResponse({"server": server})

    @router.get(CHATS_PATH)
    @own(saved)
    async def listed(request: Request, owner: str) -> Response:
        search = request.query_params.get("search", "")[:LIMIT_SEARCH_CHARS]
        found = await saved.run(saved.chats.listed, owner, search)
        return JSONResponse({"chats": [_line(summary) for summary in found]})

    @router.patch(CHATS_PATH + "/{chat_id}")
    @own(saved)
    async def change(request: Request, owner: str) -> Response:
        chat_id, change = request.path_params["chat_id"], ChatChange.model_validate_json(await body_of(request))
        done = True
        if change.title is not None:
            done = await saved.run(saved.chats.rename, owner, chat_id, change.title, "user")
        if change.pinned is not None:
            done = await saved.run(saved.chats.pin, owner, chat_id, change.pinned) and done
        return _done(done)

    @router.delete(CHATS_PATH + "/{chat_id}")
    @own(saved)
    async def delete(request: Request, owner: str) -> Response:
        return _done(await saved.delete(owner, request.path_params["chat_id"]))

    @router.post(CHATS_PATH + "/{chat_id}/restore")
    @own(saved)
    async def restore(request: Request, owner: str) -> Response:
        return _done(await saved.run(saved.chats.restore, owner, request.path_params["chat_id"]))

    @router.delete(CHATS_PATH)
    @own(saved)
    async def delete_all(request: Request, owner: str) -> Response:
        return JSONResponse({"deleted": await saved.delete_all(owner)})

    return router


def own(saved: SavedChats, turn: str = "") -> Callable[[Handler], Callable[[Request], Awaitable[Response]]]:
    """A route that is handed the asker's owner, one request of a visitor at a time; it answers every refusal with a
    sentence. Routes of another ``turn`` do not wait for the others."""

    def decorate(handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            try:
                owner = chats_owner_of(request)
                if not owner:
                    raise PermissionDenied(_NOBODY)
                return await handler(request, owner)
            except AppError as refused:
                return _refusal(refused)
            except ValueError:  # pydantic's among them
                return JSONResponse({"detail": "This is not what the page sends. Reload it and try again."}, 400)
            except SQLAlchemyError as error:
                log.warning("the database of chats failed", exc_info=error)
                if cannot_write(error):
                    return _refusal(DiskFull("Changes"))
                return _refusal(EngineUnavailable("The saved chats cannot be reached just now. Try again in a minute."))

        @functools.wraps(handler, assigned=("__name__", "__doc__"))
        async def route(request: Request) -> Response:
            return _InTurn(saved.turns, f"{turn} {visitor_of(request)}", functools.partial(answer, request))

        del route.__wrapped__  # FastAPI would read the signature of what it wraps
        return route

    return decorate


class _InTurn(Response):
    """An answer that is made and sent in a turn of its visitor's: of those that he asks for and does not read, one is
    held."""

    def __init__(self, turns: Turns, visitor: str, make: Callable[[], Awaitable[Response]]) -> None:
        super().__init__()
        self._turns, self._visitor, self._make = turns, visitor, make

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            async with self._turns.of(self._visitor):
                await (await self._make())(scope, receive, send)
        except TooManyRequests as refused:
            await _refusal(refused)(scope, receive, send)


async def body_of(request: Request) -> bytes:
    """The body. Raises RequestError for more than the page sends, before anything is made of it."""
    body = await request.body()
    if len(body) > LIMIT_WISH_BYTES:
        raise TooLarge(f"The request is over the limit of {LIMIT_WISH_BYTES:,} bytes.")
    refusal = PAGE_BOUNDS.refusal(body)
    if refusal:
        raise RequestError(refusal)
    return body


def _done(done: bool) -> Response:
    if not done:
        raise NotFound(_NO_CHAT)
    return JSONResponse({"done": True})


def _refusal(refused: AppError) -> Response:
    return JSONResponse({"detail": refused.message}, refused.http_status)


def _line(summary: ChatSummary) -> dict[str, object]:
    return {
        "id": summary.id,
        "title": summary.title,
        "titled_by": summary.titled_by,
        "pinned": summary.pinned,
        "updated_at": summary.updated_at,
    }
