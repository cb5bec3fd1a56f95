"""What Gradio is told of the page's address: the request's own host, nothing that a visitor says in other headers.

Gradio believes ``X-Forwarded-Host`` and its like, and keeps the first visitor's host in an answer it gives to all.
"""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from qwen_app.http.paths import PathPrefixes

_TOLD = (b"forwarded", b"x-gradio-server", b"x-original-host", b"x-host")
_KEPT_FOR_ALL = ("/gradio_api/info", "/gradio_api/call", "/gradio_api/openapi.json")


class OwnOrigin:
    """ASGI middleware right in front of the page. ``own_host`` stands in answers that are kept for all visitors.

    What is ``not_gradios``, API and login, looks at these headers itself: they tell it that a request is not local.
    """

    def __init__(self, app: ASGIApp, *, own_host: str, not_gradios: PathPrefixes) -> None:
        self._app = app
        self._not_gradios = not_gradios
        self._own_host = own_host.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not self._not_gradios.holds(scope["path"]):
            kept_for_all = scope["path"].startswith(_KEPT_FOR_ALL)
            headers = [(name, value) for name, value in scope["headers"] if not _tells_of_origin(name.lower())]
            if kept_for_all:
                headers = [(name, value) for name, value in headers if name.lower() != b"host"]
                headers.append((b"host", self._own_host))
            scope = {**scope, "headers": headers}
        await self._app(scope, receive, send)


def _tells_of_origin(name: bytes) -> bool:
    return name.startswith(b"x-forwarded-") or name in _TOLD
