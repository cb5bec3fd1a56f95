"""Keeps guests to the site that is theirs: nothing else on this server can be reached with a guest's cookie.

Their site has the chat and no more: no API, no figures, no tables, no other's chats. What is not there cannot be
forgotten to be refused.
"""

from __future__ import annotations

from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from qwen_app.guests.guest import Guest
from qwen_app.http.cut_off import serve_until_cut
from qwen_app.http.paths import PROBES, PathPrefixes
from qwen_app.http.visitors import BROWSER, GUEST, USER
from qwen_app.saved_chats.export_html import plain_page
from qwen_app.web.guests.guest_door import COOKIE, ENTRY, GuestDoor
from qwen_app.web.installable.manifest import INSTALLABLE_PATHS

LEAVE = "/guest/leave"
TOLD_S = 3600  # after its time a link is told to be over: without a cookie an open page would be another visitor's
_PUBLIC = PathPrefixes(["/s", "/login", "/logout", *INSTALLABLE_PATHS])
_OVER = "This guest link is over. Ask whoever gave it to you for a new one. 此访客链接已失效，请向提供者索取新的链接。"
_LOGGED_IN = (
    "You are logged in here. Open this guest link in a private window or another browser. "
    "你已登录，请在无痕窗口或其他浏览器中打开此访客链接。"
)


class GuestWall:
    """ASGI middleware behind the login: a login is more than a guest's cookie."""

    def __init__(self, app: ASGIApp, *, door: GuestDoor) -> None:
        self._app = app
        self._door = door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        user = scope.setdefault("state", {}).get(USER)
        guest = self._door.guest_in(scope) if user is None else None
        if path.startswith(ENTRY):
            await self._enter(scope, logged_in=user is not None)(scope, receive, send)
        elif path == LEAVE and scope["method"] == "POST" and user is None:
            await _left(scope)(scope, receive, send)
        elif guest is None or path in PROBES or _PUBLIC.holds(path):
            await self._app(scope, receive, send)
        elif self._door.is_over(guest):
            await _refused(scope, _OVER)(scope, receive, send)
        else:
            await self._serve(guest, scope, receive, send)

    def _enter(self, scope: Scope, *, logged_in: bool) -> Response:
        guest = self._door.invited(scope)
        if logged_in:
            return _refused(scope, _LOGGED_IN)
        if guest is None or self._door.book is None or self._door.is_over(guest):
            return _refused(scope, _OVER)
        root: str = scope.get("root_path", "")
        welcome = RedirectResponse(f"{root}/", HTTPStatus.SEE_OTHER, {"cache-control": "no-store"})
        guest_pass, secure = self._door.book.pass_of(guest, "cookie"), scope["scheme"] == "https"
        known_s = round(self._door.book.left_s(guest)) + TOLD_S
        welcome.set_cookie(COOKIE, guest_pass, max_age=known_s, httponly=True, samesite="lax", secure=secure)
        return welcome

    async def _serve(self, guest: Guest, scope: Scope, receive: Receive, send: Send) -> None:
        """On the guest's own site, until the link is revoked."""
        scope["state"] |= {GUEST: guest.user, BROWSER: guest.id}
        with self._door.request(guest):
            await serve_until_cut(
                self._door.site or self._app,
                scope,
                receive,
                send,
                is_cut=lambda: self._door.is_over(guest),
                refusal=_refused(scope, _OVER),
            )


def _left(scope: Scope) -> Response:
    root: str = scope.get("root_path", "")
    response = RedirectResponse(f"{root}/", HTTPStatus.SEE_OTHER)
    response.delete_cookie(COOKIE, httponly=True, samesite="lax")
    return response


def _refused(scope: Scope, sentence: str) -> Response:
    if "text/html" in Headers(scope=scope).get("accept", ""):
        return HTMLResponse(plain_page(sentence), HTTPStatus.FORBIDDEN, {"cache-control": "no-store"})
    return JSONResponse({"detail": sentence}, HTTPStatus.FORBIDDEN)
