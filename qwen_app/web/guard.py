"""What every request passes before the page: a known path, our own origin, a bounded body; and an id on the answer."""

from __future__ import annotations

import uuid
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from qwen_app.errors import NotFound, PermissionDenied, RequestError, TooLarge
from qwen_app.settings import is_loopback
from qwen_app.web.paths import is_api, is_offered
from qwen_app.web.upload import UPLOAD_PATH, only_one_csv

BODY_LIMIT_BYTES = 4 * 2**20
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


class Guard:
    """ASGI middleware. ``any_host``: the page may be opened under any name, as a login protects it."""

    def __init__(self, app: ASGIApp, *, any_host: bool) -> None:
        self._app = app
        self._any_host = any_host

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id
        outgoing = _with_headers(send, request_id)
        try:
            if not is_api(scope["path"]):
                self._check(scope)
                receive = _limited(receive)
                if scope["path"] == UPLOAD_PATH:
                    receive = await only_one_csv(scope, receive)
            await self._app(scope, receive, outgoing)
        except RequestError as refusal:
            await JSONResponse({"detail": refusal.message}, refusal.http_status)(scope, receive, outgoing)

    def _check(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        if not self._any_host and not is_loopback(_hostname(headers.get("host", ""))):
            raise PermissionDenied(
                "Without a login this page opens under localhost alone. "
                "Start it with --auth user:password to use it under another name."
            )
        if scope["method"] not in SAFE_METHODS and _is_foreign(headers):
            raise PermissionDenied("This request comes from a page of another site. Open the chat page itself.")
        if not is_offered(scope["path"]):
            raise NotFound("There is nothing here.")
        announced = headers.get("content-length", "")
        if announced.isdigit() and int(announced) > BODY_LIMIT_BYTES:
            raise _too_large()


def _is_foreign(headers: Headers) -> bool:
    """Whether a page of another site sent this; programs name no origin. A proxy may have changed the host's name."""
    origin = headers.get("origin")
    if origin is None:
        return headers.get("sec-fetch-site", "none") not in ("none", "same-origin")
    ours = {headers.get("host", ""), headers.get("x-forwarded-host", "")}
    return origin.partition("://")[2] not in ours - {""}


def _hostname(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:  # brackets that hold no address
        return ""


def _limited(receive: Receive) -> Receive:
    received_bytes = 0

    async def limited() -> Message:
        nonlocal received_bytes
        message = await receive()
        received_bytes += len(message.get("body", b""))
        if received_bytes > BODY_LIMIT_BYTES:
            raise _too_large()
        return message

    return limited


def _too_large() -> TooLarge:
    return TooLarge(f"The request is over the limit of {BODY_LIMIT_BYTES // 2**20} MiB. Send less text.")


def _with_headers(send: Send, request_id: str) -> Send:
    async def outgoing(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers.setdefault("x-request-id", request_id)
            for name, value in SECURITY_HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return outgoing
