"""The page's login: a form, a cookie, and a wall in front of everything that is not the API's."""

from __future__ import annotations

import asyncio
import math
from html import escape
from pathlib import Path
from urllib.parse import parse_qs

from starlette.datastructures import Headers
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from qwen_app.errors import RequestError, TooLarge, TooManyRequests
from qwen_app.http.addresses import household_of
from qwen_app.http.cut_off import serve_until_cut
from qwen_app.http.paths import API_PATHS, PathPrefixes
from qwen_app.http.visitors import BROWSER, USER, cookies_named
from qwen_app.web.attempts import Attempts
from qwen_app.web.chats.shared_page import SHARED_PATH
from qwen_app.web.guests.guest_door import GuestDoor
from qwen_app.web.installable.manifest import INSTALLABLE_PATHS
from qwen_app.web.page_calls.whole_body import read_within
from qwen_app.web.passwords import Passwords
from qwen_app.web.sessions import COOKIE, LIFETIME_S, Sessions, browser_of

LOGIN = "/login"
LOGOUT = "/logout"
_OPEN = PathPrefixes([SHARED_PATH, *INSTALLABLE_PATHS])
FORM_BYTES = 4096
FORM_FIELDS = 2
FORM_S = 15.0  # in which it must have come
_PAGE = Path(__file__).with_name("login.html").read_text(encoding="utf-8")
_WRONG = "Wrong name or password. 用户名或密码错误。"


class LoginWall:
    """ASGI middleware: lets nobody to the page who has no session, notes who has, and logs people in and out.

    The API's paths pass by: it guards itself, and takes a session as well as a key. So do links to chats, which open
    for whoever has one, and guests, who have a wall of their own behind this one.
    """

    def __init__(
        self, app: ASGIApp, *, passwords: Passwords, sessions: Sessions, attempts: Attempts, guests: GuestDoor
    ) -> None:
        self._app = app
        self._passwords = passwords
        self._sessions = sessions
        self._attempts = attempts
        self._guests = guests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        token = next(filter(self._sessions.user, cookies_named(COOKIE, scope)), "")
        user = self._sessions.user(token)
        if user is not None:
            scope.setdefault("state", {}).update({USER: user, BROWSER: browser_of(token)})
        if path == LOGIN:
            await (await self._log_in(scope, receive))(scope, receive, send)
        elif path == LOGOUT:
            await self._log_out(scope)(scope, receive, send)
        elif user is not None:
            await self._serve(token, scope, receive, send)
        elif API_PATHS.holds(path) or _OPEN.holds(path) or self._guests.knows(scope):
            await self._app(scope, receive, send)
        elif _wants_html(scope):
            await RedirectResponse(_rooted(scope, LOGIN), 303)(scope, receive, send)
        else:
            await JSONResponse({"detail": "Log in first."}, 401)(scope, receive, send)

    async def _serve(self, token: str, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer until the session is ended, which cuts off what is still open of it."""
        with self._sessions.request(token):
            await serve_until_cut(
                self._app,
                scope,
                receive,
                send,
                is_cut=lambda: self._sessions.user(token) is None,
                refusal=JSONResponse({"detail": "Log in first."}, 401),
            )

    async def _log_in(self, scope: Scope, receive: Receive) -> Response:
        if scope["method"] in ("GET", "HEAD"):
            return HTMLResponse(_PAGE.replace("{problem}", ""))
        if scope["method"] != "POST":
            return _only("GET, HEAD, POST")
        try:
            user = await self._who(scope, await _form(scope, receive))
        except TooManyRequests as refusal:
            wait = {"retry-after": str(math.ceil(refusal.retry_after_s))}
            return _refusal(scope, refusal.http_status, refusal.message, wait)
        except RequestError as refusal:
            return _refusal(scope, refusal.http_status, refusal.message)
        if user is None:
            return _refusal(scope, 401, _WRONG)
        return _welcome(scope, self._sessions.token(user, _client(scope)))

    async def _who(self, scope: Scope, fields: dict[str, str]) -> str | None:
        """Who filled in the form rightly, with name and password or with the key of an invitation."""
        if "key" in fields:
            return self._sessions.redeem(fields["key"])
        user, password = fields.get("username", ""), fields.get("password", "")
        known = await self._attempts.judge(_client(scope), user, lambda: self._passwords.knows(user, password))
        return user if known else None

    def _log_out(self, scope: Scope) -> Response:
        if scope["method"] != "POST":  # a link or a picture on another page must not do it
            return _only("POST")
        for token in cookies_named(COOKIE, scope):
            self._sessions.end(token)
        response = _done(scope, LOGIN)
        response.delete_cookie(COOKIE, httponly=True, samesite="lax")
        return response


async def _form(scope: Scope, receive: Receive) -> dict[str, str]:
    """The fields as sent. Raises RequestError for what cannot be this form, before it is parsed."""
    try:
        async with asyncio.timeout(FORM_S):
            body = await _read(scope, receive)
        fields = parse_qs(body.decode(errors="replace"), max_num_fields=FORM_FIELDS)
    except TimeoutError:
        raise RequestError("The form did not arrive in time. Try again.") from None
    except ValueError:
        raise RequestError("The form has two fields, username and password. Send these alone.") from None
    return {name: values[0] for name, values in fields.items()}


async def _read(scope: Scope, receive: Receive) -> bytes:
    announced = Headers(scope=scope).get("content-length", "0")
    too_large = TooLarge(f"The form is over the limit of {FORM_BYTES} bytes. Send name and password alone.")
    if not announced.isdecimal() or len(announced) > 9 or int(announced) > FORM_BYTES:
        raise too_large
    return await read_within(receive, FORM_BYTES, too_large, RequestError("The form broke off. Try again."))


def _done(scope: Scope, next_path: str) -> Response:
    """To browsers the next page, to programs a word."""
    if _wants_html(scope):
        return RedirectResponse(_rooted(scope, next_path), 303)
    return JSONResponse({"success": True})


def _rooted(scope: Scope, path: str) -> str:
    """``path`` as the browser must ask for it."""
    root: str = scope.get("root_path", "")
    return root + path


def _client(scope: Scope) -> str:
    """Whose attempts are counted together."""
    client = scope.get("client")
    return household_of(client[0]) if client else ""


def _welcome(scope: Scope, token: str) -> Response:
    response = _done(scope, "/")
    secure = scope["scheme"] == "https" or Headers(scope=scope).get("origin", "").startswith("https://")
    response.set_cookie(COOKIE, token, max_age=LIFETIME_S, httponly=True, samesite="lax", secure=secure)
    return response


def _refusal(scope: Scope, status: int, sentence: str, headers: dict[str, str] | None = None) -> Response:
    if not _wants_html(scope):
        return JSONResponse({"detail": sentence}, status, headers)
    problem = f'<p role="alert">{escape(sentence)}</p>'
    return HTMLResponse(_PAGE.replace("{problem}", problem), status, headers)


def _only(methods: str) -> Response:
    return JSONResponse({"detail": f"This path takes {methods} only."}, 405, {"allow": methods})


def _wants_html(scope: Scope) -> bool:
    return "text/html" in Headers(scope=scope).get("accept", "")
