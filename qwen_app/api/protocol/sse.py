"""Server-sent events: the response that streams an answer, and a guard that ends work when the client has gone.

Format: WHATWG HTML, "Server-sent events". A line that starts with a colon is a comment, which clients skip.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import aclosing, suppress
from typing import TypeVar

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

DONE = b"data: [DONE]\n\n"
PING = b": ping\n\n"
PING_INTERVAL_S = 15.0
STREAMED: dict[int | str, dict[str, object]] = {200: {"content": {"text/event-stream": {}}}}  # for OpenAPI
STALL_LIMIT_S = 60.0  # a client that takes nothing for this long is treated as gone

T = TypeVar("T")
Close = Callable[[], Awaitable[None]]


class ClientGone(Exception):
    """The connection closed before the answer was complete."""


def event(payload: object, name: str | None = None) -> bytes:
    """One event whose data is ``payload`` as JSON."""
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {json.dumps(payload, separators=(',', ':'))}\n\n".encode()


class EventStream(Response):
    """Sends the events of ``chunks``, with a ``ping`` whenever ``ping_interval_s`` pass without one.

    When the client leaves or stops reading, ``chunks`` is cancelled at once. ``on_close`` always runs, also when
    nothing could be sent.
    """

    media_type = "text/event-stream"

    def __init__(
        self,
        chunks: AsyncGenerator[bytes, None],
        on_close: Close,
        headers: dict[str, str] | None = None,
        *,
        ping: bytes = PING,
        ping_interval_s: float = PING_INTERVAL_S,
        stall_limit_s: float = STALL_LIMIT_S,
    ) -> None:
        self.status_code = 200
        self.background = None
        self.init_headers({"cache-control": "no-store", "x-accel-buffering": "no", **(headers or {})})
        self._chunks = chunks
        self._on_close = on_close
        self._ping = ping
        self._ping_interval_s = ping_interval_s
        self._stall_limit_s = stall_limit_s
        self._sent_at = time.monotonic()
        self._sending = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            with suppress(ClientGone):
                await run_beside(self._stream(send), wait_until_gone(receive), self._keep_alive(send))
        finally:
            await self._on_close()

    async def _stream(self, send: Send) -> None:
        async with aclosing(self._chunks) as chunks:
            async for chunk in chunks:
                await self._send(send, chunk)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _send(self, send: Send, chunk: bytes) -> None:
        self._sent_at, self._sending = time.monotonic(), True
        await send({"type": "http.response.body", "body": chunk, "more_body": True})
        self._sending = False

    async def _keep_alive(self, send: Send) -> None:
        while True:
            idle_s = time.monotonic() - self._sent_at
            if self._sending:
                if idle_s >= self._stall_limit_s:
                    raise ClientGone
                await asyncio.sleep(min(self._ping_interval_s, self._stall_limit_s - idle_s))
            elif idle_s >= self._ping_interval_s:
                await self._send_ping(send)
            else:
                await asyncio.sleep(self._ping_interval_s - idle_s)

    async def _send_ping(self, send: Send) -> None:
        """Nobody else looks how long this takes."""
        try:
            async with asyncio.timeout(self._stall_limit_s):
                await self._send(send, self._ping)
        except TimeoutError:
            raise ClientGone from None


async def wait_until_gone(receive: Receive) -> None:
    """Return never; raises ClientGone when the connection closes. The request's body must have been read."""
    while (await receive())["type"] != "http.disconnect":
        pass
    raise ClientGone


async def while_connected(receive: Receive, work: Coroutine[None, None, T]) -> T:
    """The result of ``work``, which is cancelled when the client leaves first: then ClientGone is raised."""
    return await run_beside(work, wait_until_gone(receive))


async def run_beside(work: Coroutine[None, None, T], *guards: Coroutine[None, None, None]) -> T:
    """The result of ``work``. A guard that raises cancels it and gives its own error instead."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(guard) for guard in guards]
            try:
                return await work
            finally:
                for task in tasks:
                    task.cancel()
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None
