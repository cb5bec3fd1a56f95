"""What every path answers until the model is loaded, and the switch to the real app."""

from __future__ import annotations

from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from qwen_app.api.protocol.errors import api_error
from qwen_app.errors import EngineUnavailable

REASON = "The model is being loaded. Try again in a few seconds."
_HEADERS = {"Retry-After": "5", "Cache-Control": "no-store"}
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="refresh" content="2">
<title>Loading · 正在加载</title>
<style>
body { font-family: system-ui, sans-serif; display: grid; place-content: center; min-height: 90vh; text-align: center;
       color-scheme: light dark; }
</style>
</head>
<body>
<h1>The model is being loaded …<br><span lang="zh-CN">正在加载模型……</span></h1>
<p>This page opens by itself when it is ready.<br><span lang="zh-CN">加载完成后，本页会自动打开。</span></p>
</body>
</html>
"""


class LoadingGate:
    """The ASGI app that uvicorn runs. It answers for the real app until ``open`` is given one."""

    def __init__(self) -> None:
        self._app: ASGIApp | None = None

    def open(self, app: ASGIApp) -> None:
        """Let ``app`` answer from here on."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app: ASGIApp = self._app or _loading_answer(scope)
        await app(scope, receive, send)


def _loading_answer(scope: Scope) -> Response:
    path = scope["path"]
    if path == "/health":
        return JSONResponse({"status": "ok"})
    if path == "/ready":
        return JSONResponse({"status": "loading", "reason": REASON}, 503, _HEADERS)
    if path.startswith("/v1/"):
        return api_error(EngineUnavailable(REASON)).response()
    return HTMLResponse(_PAGE, 503, _HEADERS)
