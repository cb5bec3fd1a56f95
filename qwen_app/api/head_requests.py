"""HEAD on whatever takes GET: monitors and proxies ask so. The protocol below leaves the body out by itself."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from qwen_app.http.paths import PathPrefixes


class HeadRequests:
    """ASGI middleware: ``paths`` are answered to HEAD as they are to GET."""

    def __init__(self, app: ASGIApp, *, paths: PathPrefixes) -> None:
        self._app = app
        self._paths = paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "HEAD" and self._paths.holds(scope["path"]):
            scope = {**scope, "method": "GET"}
        await self._app(scope, receive, send)
