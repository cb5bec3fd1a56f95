"""The page's scripts, styles and fonts: compressed once for all visitors, and asked for once by each browser.

A page is ninety files. Gradio reads and compresses each anew for everybody who opens it, a quarter of a second of the
process that also writes answers, and says nothing of how long a browser may keep them.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from dataclasses import dataclass, field

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LIMIT_BYTES = 32 * 2**20
ENTRY_BYTES = 4096  # of an answer beside its body and its path
ENCODINGS = ("br", "gzip")  # the better first
FOREVER = "public, max-age=31536000, immutable"
_NAMED_BY_CONTENT = re.compile(r"/assets/(?:[\w.-]+/)*[\w.-]+-[\w-]{8}\d*\.\w+")  # another content has another name
_WORTH_NOTHING = re.compile(r"\s*q=0(\.0*)?\s*")
_NOT_ITS_OWN = (b"if-none-match", b"if-modified-since", b"accept-encoding")  # of a request, no matter of the file's


class KeptAssets:
    """ASGI middleware that keeps the answers of ``app`` to GET of such a file, one for each way to send it.

    For one event loop.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._kept: OrderedDict[tuple[str, str], _Answer] = OrderedDict()
        self._kept_bytes = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = Headers(scope=scope) if _is_asset(scope) else None
        if asked is None or "range" in asked:
            await self._app(scope, receive, send)
            return
        key = (scope["path"], _encoding(asked.get("accept-encoding", "")))
        answer = self._found(key)
        if answer is None:
            answer = _Answer()
            await self._app(_plain(scope, key[1]), receive, answer.take)
            if answer.status == 200:
                answer.headers["cache-control"] = FOREVER
                self._keep(key, answer)
        await answer.send(send, asked.get("if-none-match", ""))

    def _found(self, key: tuple[str, str]) -> _Answer | None:
        if key in self._kept:
            self._kept.move_to_end(key)
        return self._kept.get(key)

    def _keep(self, key: tuple[str, str], answer: _Answer) -> None:
        """Keep it for the next who asks; what nobody asked for longest goes."""
        if key not in self._kept:  # somebody may have been quicker
            self._kept[key] = answer
            self._kept_bytes += _size(key, answer)
        while self._kept_bytes > LIMIT_BYTES:
            self._kept_bytes -= _size(*self._kept.popitem(last=False))


@dataclass(slots=True)
class _Answer:
    """A whole answer. It is not changed once it is kept."""

    status: int = 0
    headers: MutableHeaders = field(default_factory=MutableHeaders)
    body: bytes = b""

    async def take(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status, self.headers = message["status"], MutableHeaders(raw=list(message["headers"]))
        elif message["type"] == "http.response.body":
            self.body += message.get("body", b"")

    async def send(self, send: Send, if_none_match: str) -> None:
        etag = self.headers.get("etag", "")
        unchanged = self.status == 200 and etag != "" and etag in if_none_match
        headers = MutableHeaders(raw=list(self.headers.raw))  # a list of its own, for others add to it
        if unchanged:
            del headers["content-length"]
        elif "content-length" not in headers:
            headers["content-length"] = str(len(self.body))
        await send({"type": "http.response.start", "status": 304 if unchanged else self.status, "headers": headers.raw})
        await send({"type": "http.response.body", "body": b"" if unchanged else self.body})


def _is_asset(scope: Scope) -> bool:
    return (
        scope["type"] == "http" and scope["method"] == "GET" and _NAMED_BY_CONTENT.fullmatch(scope["path"]) is not None
    )


def _encoding(accepted: str) -> str:
    """The best of ``ENCODINGS`` that a browser takes."""
    offers = [one.lower().partition(";") for one in accepted.split(",")]
    taken = {name.strip() for name, _, worth in offers if not _WORTH_NOTHING.fullmatch(worth)}
    return next((encoding for encoding in ENCODINGS if encoding in taken), "identity")


def _size(key: tuple[str, str], answer: _Answer) -> int:
    return len(answer.body) + len(key[0]) + ENTRY_BYTES


def _plain(scope: Scope, encoding: str) -> Scope:
    """The request as everybody's who takes ``encoding``."""
    headers = [line for line in scope["headers"] if line[0] not in _NOT_ITS_OWN]
    return {**scope, "headers": [*headers, (b"accept-encoding", encoding.encode())]}
