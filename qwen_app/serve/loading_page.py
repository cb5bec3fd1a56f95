"""What every path answers until the model is loaded, and the switch to the real app."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from qwen_app.api.protocol.error_response import error_response
from qwen_app.errors import EngineUnavailable
from qwen_app.settings import Settings
from qwen_app.start.progress import StartProgress
from qwen_app.start.times import read_times
from qwen_app.web.guests.guest_door import GuestDoor

_NOT_READY = "# HELP qwen_ready 1 when requests are taken\n# TYPE qwen_ready gauge\nqwen_ready 0.0\n"
REASON = "The model is being loaded. Try again in a few seconds."
_HEADERS = {"Retry-After": "5", "Cache-Control": "no-store"}
_PAGE = Path(__file__).with_name("loading.html").read_text(encoding="utf-8")


class LoadingGate:
    """The ASGI app that uvicorn runs. It answers for the real app until ``open`` is given one."""

    def __init__(self, progress: StartProgress | None = None) -> None:
        self._app: ASGIApp | None = None
        self.progress = progress or StartProgress()
        self.guests = GuestDoor()  # it opens with the app

    @classmethod
    def before_start(cls, settings: Settings) -> LoadingGate:
        """A gate that knows how long the start before took."""
        return cls(StartProgress(before_s=read_times(settings.data_dir, settings.model)))

    def open(self, app: ASGIApp) -> None:
        """Let ``app`` answer from here on."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app: ASGIApp = self._app or _loading_answer(scope, self.progress)
        await app(scope, receive, send)


def _loading_answer(scope: Scope, progress: StartProgress) -> Response:
    path = scope["path"]
    if path == "/health":
        return JSONResponse({"status": "ok"})
    if path == "/ready":
        body = {"status": "loading", "reason": REASON, "start": asdict(progress.state())}
        return JSONResponse(body, 503, _HEADERS)
    if path == "/metrics":  # for alerts: it is up, and not ready
        return PlainTextResponse(_NOT_READY, headers={"Cache-Control": "no-store"})
    if path.startswith("/v1/"):
        return error_response(EngineUnavailable(REASON), scope)
    return HTMLResponse(_PAGE, 503, _HEADERS)
