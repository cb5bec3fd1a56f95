"""The page's login: a form, a cookie, and a wall in front of everything that is not the API's."""

from __future__ import annotations

import asyncio
import math
from html import escape
from pathlib import Path
from urllib.parse import parse_qs

from fastapi import APIRouter, Request
from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from qwen_app.http.addresses import is_loopback
from qwen_app.http.paths import PathPrefixes
from qwen_app.web.attempts import Attempts
from qwen_app.web.sessions import COOKIE, LIFETIME_S, Sessions

LOGIN = "/login"
_PAGE = Path(__file__).with_name("login.html").read_text(encoding="utf-8")
_WRONG = "Wrong name or password. 用户名或密码错误。"
_WAIT = "Too many failed attempts. Try again in {seconds} s. 失败次数过多，请在 {seconds} 秒后再试。"


class LoginWall:
    """ASGI middleware: lets nobody to the page who has no session, and notes who has. ``api_paths`` pass by."""

    def __init__(self, app: ASGIApp, *, sessions: Sessions, api_paths: PathPrefixes) -> None:
        self._app = app
        self._sessions = sessions
        self._api_paths = api_paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket") or self._is_open(scope["path"]):
            await self._app(scope, receive, send)
            return
        user = self._sessions.user(HTTPConnection(scope).cookies.get(COOKIE, ""))
        if user is not None:
            scope.setdefault("state", {})["user"] = user
            await self._app(scope, receive, send)
        elif _wants_html(Headers(scope=scope)):
            await RedirectResponse(LOGIN, 303)(scope, receive, send)
        else:
            await JSONResponse({"detail": "Log in first."}, 401)(scope, receive, send)

    def _is_open(self, path: str) -> bool:
        return path == LOGIN or self._api_paths.holds(path)


def build_login(sessions: Sessions, attempts: Attempts) -> APIRouter:
    """The routes of the login: a form, and what it posts to."""
    router = APIRouter(include_in_schema=False)

    @router.get(LOGIN)
    async def form() -> Response:
        return HTMLResponse(_PAGE.replace("{problem}", ""))

    @router.post(LOGIN)
    async def log_in(request: Request) -> Response:
        client = client_of(request)
        wait_s = math.ceil(attempts.wait_s(client))
        if wait_s:
            return _refusal(request, 429, _WAIT.format(seconds=wait_s), {"retry-after": str(wait_s)})
        await asyncio.sleep(attempts.delay_s())
        fields = parse_qs((await request.body()).decode(errors="replace"))
        user, password = fields.get("username", [""])[0], fields.get("password", [""])[0]
        if not sessions.knows(user, password):
            attempts.note_failure(client)
            return _refusal(request, 401, _WRONG)
        return _welcome(request, sessions.token(user))

    return router


def client_of(request: Request) -> str:
    """Whose attempts are counted together: the address, or what the proxy on this machine says it is."""
    address = request.client.host if request.client else ""
    forwarded = request.headers.get("x-forwarded-for", "").rpartition(",")[2].strip()
    return forwarded if forwarded and is_loopback(address) else address


def _welcome(request: Request, token: str) -> Response:
    response: Response = RedirectResponse("/", 303) if _wants_html(request.headers) else JSONResponse({"success": True})
    secure = "https" in (request.url.scheme, request.headers.get("x-forwarded-proto"))
    response.set_cookie(COOKIE, token, max_age=LIFETIME_S, httponly=True, samesite="lax", secure=secure)
    return response


def _refusal(request: Request, status: int, sentence: str, headers: dict[str, str] | None = None) -> Response:
    if not _wants_html(request.headers):
        return JSONResponse({"detail": sentence}, status, headers)
    problem = f'<p role="alert">{escape(sentence)}</p>'
    return HTMLResponse(_PAGE.replace("{problem}", problem), status, headers)


def _wants_html(headers: Headers) -> bool:
    return "text/html" in headers.get("accept", "")
