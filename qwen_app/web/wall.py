"""The wall: what every request passes first, before anybody has logged in and while the model is still loading.

Nothing of a request's body is read here but the login form's 4 kB. What comes through has one well-formed host, a page
of ours or none behind it, and a known sender: a visitor who is logged in, this machine, or whoever the API asks.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Iterator
from contextlib import closing, contextmanager

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from qwen_app.errors import NotFound, PermissionDenied, RequestError
from qwen_app.http.addresses import host_of_header, is_loopback
from qwen_app.http.forwarded import without_forwarding
from qwen_app.http.middleware import BodyLimitMiddleware, PiecesMiddleware, RequestIdMiddleware
from qwen_app.http.origins import host_line, is_foreign, origin_of
from qwen_app.http.paths import API_PATHS, PROBES, PathPrefixes
from qwen_app.http.root_path import below_root
from qwen_app.settings import Settings
from qwen_app.web.doors import behind_doors
from qwen_app.web.guests.guest_door import GuestDoor
from qwen_app.web.passwords import Passwords
from qwen_app.web.sessions import Sessions

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
# What the page reads by GET and holds somebody's text: pages of others must not even ask for it.
_DATA = PathPrefixes(["/config", "/gradio_api", "/chats", "/status", "/presenter", "/guest"])
EXPOSED = "x-request-id, request-id, retry-after, x-should-retry, x-truncated-messages"
PRIVATE_NETWORK = "access-control-request-private-network"  # Chrome asks for machines of the reader's own network
NOT_ALLOWED = "This request comes from a page of another origin. The server's owner can allow it by --api-origins."
DOUBLED = "There is nothing at {path}. It begins with two slashes: leave out the one at the end of the base URL."
_HEADER_NAMES = re.compile(r"[a-z0-9, _-]{0,1000}", re.IGNORECASE | re.ASCII)

# Gradio's page needs inline scripts and compiles its event handlers; everything else is held to our own server.
CONTENT_SECURITY_POLICY = "; ".join(
    [
        "default-src 'self'",
        "script-src 'self' 'unsafe-inline' 'unsafe-eval'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "font-src 'self' data:",
        "connect-src 'self'",
        "worker-src 'self' blob:",
        "object-src 'none'",
        "frame-src 'none'",
        "frame-ancestors 'self'",
        "base-uri 'self'",
        "form-action 'self'",
    ]
)
# Files of Gradio's, the same for everybody. Everything else is for the one who asked: no cache on the way may keep it.
_SAME_FOR_ALL = PathPrefixes(["/assets", "/static", "/svelte", "/theme.css", "/favicon.ico"])
PRIVATE = "private, no-cache"
SECURITY_HEADERS = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
    "cross-origin-opener-policy": "same-origin",
}


def wall(
    app: ASGIApp,
    settings: Settings,
    sessions: Sessions | None = None,
    guests: GuestDoor | None = None,
    passwords: Passwords | None = None,
) -> ASGIApp:
    """``app`` behind everything that stands before it: pieces, a request id, the wall, and a bounded body."""
    inner = BodyLimitMiddleware(app)
    walled = Wall(inner, settings=settings, sessions=sessions, guests=guests, passwords=passwords)
    return PiecesMiddleware(RequestIdMiddleware(walled))


@contextmanager
def standing_wall(app: ASGIApp, settings: Settings, sessions: Sessions | None, guests: GuestDoor) -> Iterator[ASGIApp]:
    """The same as long as a server runs: the threads that compare passwords end with it."""
    with closing(Passwords(settings.logins())) as passwords:
        yield wall(app, settings, sessions, guests, passwords)


class Wall:
    """ASGI middleware, and the outermost that may refuse."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        settings: Settings,
        sessions: Sessions | None = None,
        guests: GuestDoor | None = None,
        passwords: Passwords | None = None,
    ) -> None:
        self._app = behind_doors(app, settings, sessions, guests, passwords)
        self._proxies = settings.proxies()
        self._root = settings.root_path
        self._api_origins = settings.allowed_origins()
        self._any_origin = settings.any_origin()
        self._any_host = not settings.is_local()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":  # nothing of ours speaks it
            await send({"type": "websocket.close", "code": 1008})
        elif scope["type"] == "http":
            scope = self._proxies.seen_through(scope)
            root = scope.get("root_path") or self._root
            if root and scope["path"] == root:  # the page's own addresses are relative to a path that ends in a slash
                await RedirectResponse(f"{root}/")(scope, receive, send)
                return
            try:
                scope = below_root(scope, root)
                if scope["path"].startswith("//"):  # of a base URL that ends in one
                    raise NotFound(DOUBLED.format(path=scope["path"]))
            except RequestError as refusal:
                await _refused(refusal)(scope, receive, _with_headers(send, SECURITY_HEADERS, {}))
                return
            cache = {} if _SAME_FOR_ALL.holds(scope["path"]) else {"cache-control": PRIVATE}
            send = _with_headers(send, SECURITY_HEADERS | cache, self._cross_origin(scope))
            try:
                await self._let_in(scope, receive, send)
            except RequestError as refusal:
                await _refused(refusal)(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _let_in(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] in PROBES and not _is_preflight(scope):
            await self._app(scope, receive, send)
            return
        host = host_line(scope)
        if host is None:
            raise RequestError("A request needs one Host line, of the form host or host:port.")
        of_api = API_PATHS.holds(scope["path"])
        if of_api and _is_preflight(scope) and is_foreign(scope):
            if not self._cross_origin(scope):
                raise PermissionDenied(NOT_ALLOWED)
            await Response(status_code=204)(scope, receive, send)
            return
        if not of_api:
            if not self._any_host and not is_loopback(host_of_header(host)):
                raise PermissionDenied(
                    "Without a login this page opens under localhost alone. "
                    "Start it with QWEN_AUTH=user:password to use it under another name."
                )
            scope = without_forwarding(scope)
        self._refuse_foreign(scope, of_api=of_api)
        await self._app(scope, receive, send)

    def _refuse_foreign(self, scope: Scope, *, of_api: bool) -> None:
        changes = scope["method"] not in SAFE_METHODS
        welcome = self._any_origin and _brings_key(scope)
        if of_api and changes and not welcome and is_foreign(scope, self._api_origins):
            raise PermissionDenied(NOT_ALLOWED)
        if not of_api and (changes or _DATA.holds(scope["path"])) and is_foreign(scope):
            raise PermissionDenied("This request comes from a page of another site. Open the chat page itself.")

    def _cross_origin(self, scope: Scope) -> dict[str, str]:
        """The headers that let a page of an allowed origin read an answer of the API."""
        headers = Headers(scope=scope)
        origin = headers.get("origin", "")
        if not origin or not API_PATHS.holds(scope["path"]):
            return {}
        if not self._any_origin and origin_of(origin) not in self._api_origins:
            return {}
        allowed = {"access-control-allow-origin": origin, "vary": "origin"}
        if not _is_preflight(scope):
            return allowed | {"access-control-expose-headers": EXPOSED}
        headers_wanted = headers.get("access-control-request-headers", "")
        return allowed | {
            "access-control-allow-methods": "GET, POST, DELETE",
            "access-control-allow-headers": headers_wanted
            if _HEADER_NAMES.fullmatch(headers_wanted)
            else "authorization, content-type",
            "access-control-max-age": "600",
            **({"access-control-allow-private-network": "true"} if PRIVATE_NETWORK in headers else {}),
        }


def _brings_key(scope: Scope) -> bool:
    """Browsers send cookies by themselves; a key is sent by who knows it."""
    headers = Headers(scope=scope)
    return "authorization" in headers or "x-api-key" in headers


def _is_preflight(scope: Scope) -> bool:
    return scope["method"] == "OPTIONS" and "access-control-request-method" in Headers(scope=scope)


def _refused(refusal: RequestError) -> Response:
    """In the page's shape and in those of the API: any may be asking."""
    error = {"message": refusal.message, "type": "invalid_request_error", "param": None, "code": refusal.code}
    return JSONResponse({"type": "error", "detail": refusal.message, "error": error}, refusal.http_status)


def _with_headers(send: Send, defaults: dict[str, str], cross_origin: dict[str, str]) -> Send:
    """``defaults`` on every answer that says nothing else, and no word to pages of other origins but
    ``cross_origin``."""

    def outgoing(message: Message) -> Awaitable[None]:  # no coroutine of its own: streams send often
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name in [name for name in headers if name.startswith("access-control-")]:
                del headers[name]
            for name, value in defaults.items():
                headers.setdefault(name, value)
            headers.update(cross_origin)
        return send(message)

    return outgoing
