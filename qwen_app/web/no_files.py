"""Keeps every form of a file out of what is sent to Gradio, which would open, copy or fetch what it names.

The page has no component that takes a file. Gradio knows one by a ``path``; nothing the page sends has such a key.
"""

from __future__ import annotations

import re

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from qwen_app.http.json_bounds import PAGE_BOUNDS
from qwen_app.http.paths import PathPrefixes
from qwen_app.web.page_calls.whole_body import read_body, replayed

GRADIO = PathPrefixes(["/gradio_api"])
REFUSED = "Files cannot be sent this way. Upload a table with the button of the page."
UNREADABLE = "The body of the request must be JSON in UTF-8."
NO_BODY = ("GET", "HEAD", "OPTIONS")


class NoFiles:
    """ASGI middleware: what is sent to Gradio is read whole, and refused with 400 where it names a file."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in NO_BODY or not GRADIO.holds(scope["path"]):
            await self._app(scope, receive, send)
            return
        body = await read_body(receive)
        refusal = refusal_of(body)
        if refusal:
            await JSONResponse({"detail": refusal}, 400)(scope, receive, send)
        else:
            await self._app(scope, replayed(body, receive), send)


def refusal_of(body: bytes) -> str:
    """Why Gradio may not see ``body``; empty where it may. Linear, and the same for what is no JSON at all."""
    try:
        body.decode()
    except UnicodeDecodeError:
        return UNREADABLE
    if b"\0" in body:  # JSON in another encoding, which its readers would guess
        return UNREADABLE
    return REFUSED if _NAMES_A_FILE.search(body) else PAGE_BOUNDS.refusal(body)


def _spelled(text: str) -> bytes:
    """A regular expression for the JSON string ``text``, each of its characters as it is or escaped."""
    characters = (rf"(?:{re.escape(char)}|\\u(?i:{ord(char):04x}))" for char in text)
    return ('"' + "".join(characters) + '"').encode()


_NAMES_A_FILE = re.compile(_spelled("path") + rb"\s*:|" + _spelled("gradio.FileData"))
