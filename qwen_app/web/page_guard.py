"""What a request that came through the wall passes before the page: a known path."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from qwen_app.errors import NotFound, RequestError
from qwen_app.http.paths import PathPrefixes
from qwen_app.web.gradio_paths import is_offered


class PageGuard:
    """ASGI middleware. It checks what is none of ``api_paths``."""

    def __init__(self, app: ASGIApp, *, api_paths: PathPrefixes) -> None:
        self._app = app
        self._api_paths = api_paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            if not self._api_paths.holds(scope["path"]) and not is_offered(scope["path"]):
                raise NotFound("There is nothing here.")
            await self._app(scope, receive, send)
        except RequestError as refusal:
            await JSONResponse({"detail": refusal.message}, refusal.http_status)(scope, receive, send)
        except HTTPException as refusal:
            await JSONResponse({"detail": refusal.detail}, refusal.status_code)(scope, receive, send)
