"""What a request that came through the wall passes before the page: of Gradio's own paths, those that are offered."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from qwen_app.errors import NotFound, RequestError
from qwen_app.http.paths import PathPrefixes

_GRADIO = PathPrefixes(["/gradio_api"])
# All that the page's own code and gradio_client use of Gradio's routes. Anything else there is not offered.
_USED = PathPrefixes(
    f"/gradio_api/{path}"
    for path in (
        "queue/join",
        "queue/data",
        "run/predict",
        "heartbeat",
        "cancel",
        "reset",
        "info",
        "call/chat",
        "call/v2/chat",
        "startup-events",
        "app_id",
    )
)
_NEVER = PathPrefixes(["/monitoring", "/dev", "/login", "/logout"])  # Gradio's own login is not ours


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
            if not self._api_paths.holds(scope["path"]) and not _is_offered(scope["path"]):
                raise NotFound("There is nothing here.")
            await self._app(scope, receive, send)
        except RequestError as refusal:
            await JSONResponse({"detail": refusal.message}, refusal.http_status)(scope, receive, send)
        except HTTPException as refusal:
            await JSONResponse({"detail": refusal.detail}, refusal.status_code)(scope, receive, send)


def _is_offered(path: str) -> bool:
    """Whether the page's server has anything for visitors at ``path``."""
    return _USED.holds(path) if _GRADIO.holds(path) else not _NEVER.holds(path)
