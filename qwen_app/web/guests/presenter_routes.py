"""The presenter's routes: guests, what runs, pause and stop. For who runs the server alone: the first login, or this
machine's visitor where there is none."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse, Response

from qwen_app.errors import AppError, NotFound, PermissionDenied, TooLarge
from qwen_app.guests.guest import LIMIT_NAME_CHARS, Guest
from qwen_app.guests.guest_book import MOST_TURNS, GuestBook
from qwen_app.http.addresses import user_at
from qwen_app.http.visitors import USER
from qwen_app.service import Service
from qwen_app.settings import Settings
from qwen_app.web.guests.guest_door import ENTRY, GuestDoor
from qwen_app.web.status.live_status import LiveStatus

PRESENTER_PATH = "/presenter"
LIMIT_BODY_BYTES = 4096
_HOUR_S = 3600.0
Handler = Callable[[Request], Awaitable[object]]


class Invitation(BaseModel):
    """Whom to invite, for how many hours and answers."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=LIMIT_NAME_CHARS)
    hours: int = Field(ge=1, le=30 * 24)
    turns: int = Field(ge=1, le=MOST_TURNS)


class PresenterRoutes:
    """``door`` cuts off whoever is revoked, ``status`` has the machine's figures."""

    def __init__(
        self, service: Service, settings: Settings, book: GuestBook, door: GuestDoor, status: LiveStatus
    ) -> None:
        self._service = service
        self._settings = settings
        self._book = book
        self._door = door
        self._status = status

    def router(self) -> APIRouter:
        router = APIRouter(include_in_schema=False)
        routes: list[tuple[str, str, Handler]] = [
            ("GET", "", self._state),
            ("POST", "/guests", self._invite),
            ("DELETE", "/guests/{guest_id}", self._revoke),
            ("POST", "/pause", self._pause),
            ("POST", "/resume", self._resume),
            ("POST", "/stop", self._stop),
        ]
        for method, path, handler in routes:
            router.add_api_route(PRESENTER_PATH + path, self._for_presenter(handler), methods=[method])
        return router

    def _for_presenter(self, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        @functools.wraps(handler, assigned=("__name__", "__doc__"))
        async def route(request: Request) -> Response:
            try:
                if not self._settings.is_owner(request.scope.get("state", {}).get(USER, "")):
                    raise PermissionDenied("This is for the presenter: log in as whoever runs the server.")
                return JSONResponse(await handler(request), headers={"cache-control": "no-store"})
            except AppError as refused:
                return JSONResponse({"detail": refused.message, "code": refused.code}, refused.http_status)
            except ValueError:  # pydantic's among them
                return JSONResponse({"detail": "Give a name, and how many hours and answers."}, 400)

        del route.__wrapped__  # FastAPI would read the signature of what it wraps
        return route

    async def _state(self, _: Request) -> object:
        """Everything that the presenter sees."""
        info, health, running = self._service.info(), self._service.health(), self._service.stage.running()
        newest = self._status.samples[-1] if self._status.samples else None
        guests = self._book.guests()
        return {
            "paused": self._service.stage.paused,
            "guests": [self._line(guest, running[guest.user]) for guest in guests],
            "others": sum(running.values()) - sum(running[guest.user] for guest in guests),
            "running": health.running,
            "queued": health.queued,
            "slots": info.slots,
            "model": info.model,
            "device": info.device,
            "memory_bytes": info.weights_bytes + info.cache_bytes,
            "tokens_per_s": newest.tokens_per_s if newest else 0.0,
            "gpu_busy_share": newest and newest.gpu_busy_share,
            "gpu_memory_bytes": newest and newest.gpu_memory_bytes,
            "gpu_memory_total_bytes": newest and newest.gpu_memory_total_bytes,
            "gpu_celsius": newest and newest.gpu_celsius,
        }

    async def _invite(self, request: Request) -> object:
        body = await request.body()
        if len(body) > LIMIT_BODY_BYTES:
            raise TooLarge(f"An invitation has at most {LIMIT_BODY_BYTES:,} bytes.")
        wish = Invitation.model_validate_json(body)
        guest = await self._book.invite(wish.name, lifetime_s=wish.hours * _HOUR_S, turns=wish.turns)
        return self._line(guest, 0)

    async def _revoke(self, request: Request) -> object:
        guest_id = request.path_params["guest_id"]
        try:
            found = await self._book.revoke(guest_id)
        finally:  # closed here at least, where it cannot be written
            self._door.end(guest_id)
        if not found:
            raise NotFound("There is no such guest.")
        return {"done": True}

    async def _pause(self, request: Request) -> object:
        user: str | None = request.scope.get("state", {}).get(USER)
        self._service.stage.pause(user or user_at(request.client.host if request.client else ""))
        return {"done": True}

    async def _resume(self, _: Request) -> object:
        self._service.stage.resume()
        return {"done": True}

    async def _stop(self, _: Request) -> object:
        return {"stopped": self._service.stage.stop()}

    def _line(self, guest: Guest, running: int) -> dict[str, object]:
        """A guest, with the path of the link while it opens anything."""
        over = self._book.is_over(guest)
        return {
            "id": guest.id,
            "name": guest.name,
            "turns": guest.turns,
            "turns_used": guest.turns_used,
            "expires_at": guest.expires_at,
            "over": over,
            "busy": running > 0,
            "path": "" if over else f"{ENTRY}{self._book.pass_of(guest, 'link')}".lstrip("/"),
        }
