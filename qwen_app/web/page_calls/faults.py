"""What Gradio cannot take: an answer that says so instead of a 500, a log line instead of a trace with its values."""

from __future__ import annotations

import logging
import sys
from types import ModuleType

from gradio import queueing, routes
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from qwen_app.errors import AppError
from qwen_app.http.paths import PathPrefixes

log = logging.getLogger(__name__)

_SENTENCE = "The server cannot take this call. Reload the page and try again."


class GradioFaults:
    """ASGI middleware right in front of the page: where Gradio fails over a request, its sender gets 400.

    Gradio checks little of what it is sent, and what does not fit breaks somewhere inside: it is the request's fault.
    What is ``not_gradios``, API and login, has errors of their own.
    """

    def __init__(self, app: ASGIApp, *, not_gradios: PathPrefixes) -> None:
        self._app = app
        self._not_gradios = not_gradios

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or self._not_gradios.holds(scope["path"]):
            await self._app(scope, receive, send)
            return
        answer = _Answer(send)
        try:
            await self._app(scope, receive, answer)
        except (AppError, HTTPException):
            raise  # ours, with an answer of its own
        except Exception as error:
            log.warning("Gradio failed on a request", exc_info=error)
            answer.failed = answer.failed or not answer.started
        if answer.failed:
            await JSONResponse({"detail": _SENTENCE, "error": _SENTENCE}, 400)(scope, receive, send)


class _Answer:
    """Passes an answer on, unless it is a 500."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.started = False
        self.failed = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start" and message["status"] == 500:
            self.failed = True
        if not self.failed:
            self.started = True
            await self._send(message)


def keep_traces_out() -> None:
    """Gradio prints traces, which hold what visitors sent; from now on its failures are log lines like all others."""
    for module in (queueing, routes):
        vars(module)["traceback"] = _QuietTraceback("traceback")


class _QuietTraceback(ModuleType):
    def print_exc(self) -> None:
        log.warning("a handler of the page failed", exc_info=sys.exception())
