"""The page's HTML is sent compressed: a seventh of its size. Gradio's scripts come compressed already."""

from __future__ import annotations

from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send


class PageGzip:
    """ASGI middleware that compresses what is at ``/``, and nothing else: an API's streams are not held up."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._compressed = GZipMiddleware(app, compresslevel=5)  # 9 takes twice as long for 3 % less

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_page = scope["type"] == "http" and scope["path"] == "/"
        await (self._compressed if is_page else self._app)(scope, receive, send)
