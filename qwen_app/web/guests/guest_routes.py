"""What a guest is told of the own link."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from qwen_app.guests.guest_book import GuestBook
from qwen_app.http.visitors import guest_of
from qwen_app.stage.stage import Stage


def build_guest_routes(book: GuestBook, stage: Stage) -> APIRouter:
    """``/guest/me``: the name, how many answers are left, until when, and whether the presenter has paused."""
    router = APIRouter(include_in_schema=False)

    @router.get("/guest/me")
    async def me(request: Request) -> Response:
        guest = book.guest_named(guest_of(request))
        if guest is None:
            return JSONResponse({"detail": "There is nothing here."}, 404)
        told = {"name": guest.name, "turns": guest.turns, "turns_left": guest.turns_left}
        return JSONResponse(told | {"expires_at": guest.expires_at, "paused": stage.paused})

    return router
