"""A loopback HTTP server for tests that says exactly what it is told, down to the broken byte."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    headers: Mapping[str, str]
    body: dict[str, Any]


class Reply:
    """What a handler answers with. ``gone`` tells that the client hung up."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.sent = False

    @property
    def gone(self) -> bool:
        return self._reader.at_eof() or self._writer.is_closing()

    async def wait_gone(self) -> None:
        """Says nothing until the client hangs up."""
        while not self.gone:  # noqa: ASYNC110 (a stream reader has no event for its end)
            await asyncio.sleep(0.01)

    async def json(self, value: object, status: int = 200, **headers: str) -> None:
        await self.raw(json.dumps(value).encode(), status, "application/json", **headers)

    async def raw(self, content: bytes, status: int = 200, kind: str = "text/plain", **headers: str) -> None:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        await self._head(status, {"Content-Type": kind, "Content-Length": str(len(content)), **named})
        await self._write(content)

    async def stream(self) -> None:
        """Starts an event stream in chunked encoding: an end without ``end`` is seen as broken."""
        await self._head(200, {"Content-Type": "text/event-stream", "Transfer-Encoding": "chunked"})

    async def event(self, value: object) -> None:
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        await self.piece(f"data: {text}\n\n".encode())

    async def piece(self, content: bytes) -> None:
        await self._write(b"%x\r\n%s\r\n" % (len(content), content))

    async def end(self) -> None:
        await self._write(b"0\r\n\r\n")

    def abort(self) -> None:
        """Resets the connection, as a killed server does."""
        self._writer.transport.abort()

    async def _head(self, status: int, headers: Mapping[str, str]) -> None:
        self.sent = True
        lines = [f"HTTP/1.1 {status} X", *(f"{name}: {value}" for name, value in headers.items()), "Connection: close"]
        await self._write("\r\n".join([*lines, "", ""]).encode())

    async def _write(self, content: bytes) -> None:
        self._writer.write(content)
        await self._writer.drain()


Handler = Callable[[Request, Reply], Awaitable[None]]


@dataclass
class Upstream:
    """``routes`` maps ``"POST /v1/chat/completions"`` to its handler; all else is a 404. ``requests`` is what came."""

    routes: dict[str, Handler]
    requests: list[Request] = field(default_factory=list)
    hang_ups: int = 0
    address: str = ""

    @property
    def base_url(self) -> str:
        return self.address + "/v1"

    def requests_to(self, path: str) -> list[Request]:
        return [request for request in self.requests if request.path == path]

    @asynccontextmanager
    async def serving(self) -> AsyncGenerator[Upstream, None]:
        server = await asyncio.start_server(self._connection, "127.0.0.1", 0)
        self.address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            server.close()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = await _read(reader)
            self.requests.append(request)
            reply = Reply(reader, writer)
            handler = self.routes.get(f"{request.method} {request.path}", _not_found)
            await handler(request, reply)
            self.hang_ups += reply.gone
        except (ConnectionError, asyncio.IncompleteReadError):
            self.hang_ups += 1
        finally:
            writer.close()


async def _read(reader: asyncio.StreamReader) -> Request:
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    method, path, _ = head[0].split(" ")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
    content = await reader.readexactly(int(headers.get("content-length", 0)))
    return Request(method, path, headers, json.loads(content) if content else {})


async def _not_found(request: Request, reply: Reply) -> None:
    await reply.json({"detail": "Not Found"}, 404)
