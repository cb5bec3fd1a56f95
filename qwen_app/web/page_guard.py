"""What a request passes before the page: a local host, our own origin, a known path; and headers."""

from __future__ import annotations

from collections.abc import Awaitable

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from qwen_app.errors import NotFound, PermissionDenied, RequestError
from qwen_app.http.addresses import host_of_header, is_loopback
from qwen_app.http.paths import PathPrefixes
from qwen_app.web.gradio_paths import is_offered

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")

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
SECURITY_HEADERS = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
    "cross-origin-opener-policy": "same-origin",
}


class PageGuard:
    """ASGI middleware. It checks what is none of ``api_paths``, and puts SECURITY_HEADERS on every answer.

    ``any_host``: the page may be opened under any name, as a login protects it.
    """

    def __init__(self, app: ASGIApp, *, api_paths: PathPrefixes, any_host: bool) -> None:
        self._app = app
        self._api_paths = api_paths
        self._any_host = any_host

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        send = _with_security_headers(send)
        try:
            if not self._api_paths.holds(scope["path"]):
                self._check(scope)
            await self._app(scope, receive, send)
        except RequestError as refusal:
            await JSONResponse({"detail": refusal.message}, refusal.http_status)(scope, receive, send)
        except HTTPException as refusal:
            await JSONResponse({"detail": refusal.detail}, refusal.status_code)(scope, receive, send)

    def _check(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        if not self._any_host and not is_loopback(host_of_header(headers.get("host", ""))):
            raise PermissionDenied(
                "Without a login this page opens under localhost alone. "
                "Start it with --auth user:password to use it under another name."
            )
        if scope["method"] not in SAFE_METHODS and _is_foreign(headers):
            raise PermissionDenied("This request comes from a page of another site. Open the chat page itself.")
        if not is_offered(scope["path"]):
            raise NotFound("There is nothing here.")


def _is_foreign(headers: Headers) -> bool:
    """Whether a page of another site sent this; programs name no origin. A proxy may have changed the host's name."""
    origin = headers.get("origin")
    if origin is None:
        return headers.get("sec-fetch-site", "none") not in ("none", "same-origin")
    ours = {headers.get("host", ""), headers.get("x-forwarded-host", "")}
    return origin.partition("://")[2] not in ours - {""}


def _with_security_headers(send: Send) -> Send:
    def outgoing(message: Message) -> Awaitable[None]:  # no coroutine of its own: streams send often
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in SECURITY_HEADERS.items():
                headers.setdefault(name, value)
        return send(message)

    return outgoing
