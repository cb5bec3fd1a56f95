"""What Gradio is told of the page's address: the request's own host, nothing that a visitor says in other headers.

Gradio believes ``X-Forwarded-Host`` and its like, and keeps the first visitor's host in an answer it gives to all.
"""

from __future__ import annotations

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Receive, Scope, Send

_TOLD = ("forwarded", "x-gradio-server", "x-original-host", "x-host")
_KEPT_FOR_ALL = ("/gradio_api/info", "/gradio_api/call", "/gradio_api/openapi.json")


class OwnOrigin:
    """ASGI middleware right in front of the page. ``own_host`` stands in answers that are kept for all visitors."""

    def __init__(self, app: ASGIApp, *, own_host: str) -> None:
        self._app = app
        self._own_host = own_host

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope = {**scope, "headers": list(scope["headers"])}
            headers = MutableHeaders(scope=scope)
            for name in set(Headers(scope=scope).keys()):
                if name.startswith("x-forwarded-") or name in _TOLD:
                    del headers[name]
            if scope["path"].startswith(_KEPT_FOR_ALL):
                headers["host"] = self._own_host
        await self._app(scope, receive, send)
