"""Connections and what each may cost before it has asked for anything: how many, how long, how large a head.

uvicorn bounds none of it. A connection that keeps nobody busy gives way to a new one; when every one is being answered,
a reserve still tells whether the server lives.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, ClassVar

from starlette.responses import JSONResponse
from starlette.types import Message, Receive, Scope, Send
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle
from uvicorn.server import ServerState

from qwen_app.http.addresses import household_of, is_loopback
from qwen_app.http.declined_upgrades import DecliningProtocol
from qwen_app.http.paths import PROBES

_BUSY = "Too many connections. Try again in a moment."
_GO_AWAY = {"connection": "close", "retry-after": "5"}


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """``in_all`` bounds the others; a request's head, its body and each pause in reading the answer have their time."""

    in_all: int = 2048
    per_address: int = 512
    reserve: int = 32  # beyond in_all, for PROBES
    head_bytes: int = 32 * 1024
    header_lines: int = 100
    framing_bytes: int = 256 * 1024  # of a body: sizes of its chunks, and what may follow it
    pipelined: int = 16
    head_s: float = 15.0
    body_s: float = 60.0
    read_s: float = 120.0  # in which a client must go on reading its answer
    linger_s: float = 5.0  # what is left of a body when the answer is out is thrown away so long, then cut off


class Admission(Enum):
    """Where a new connection sits."""

    ORDINARY = auto()
    RESERVE = auto()
    NONE = auto()


class ConnectionTable:
    """All connections of one server, by address. ``many_behind`` says of which addresses any number may come."""

    def __init__(self, limits: ConnectionLimits, many_behind: Callable[[str], bool]) -> None:
        self._limits = limits
        self._many_behind = many_behind
        self._ordinary: dict[str, dict[LimitedProtocol, None]] = {}
        self._count = 0
        self._reserve: dict[LimitedProtocol, None] = {}

    def admit(self, connection: LimitedProtocol) -> Admission:
        """Seat ``connection``, if need be in the place of the idle one that came first."""
        address = connection.address
        own = self._ordinary.get(address, {})
        crowded = len(own) >= self._limits.per_address and not self._many_behind(connection.host)
        if crowded and not self._dismiss_idle(own):
            return Admission.NONE
        if self._count < self._limits.in_all or any(map(self._dismiss_idle, self._largest_first())):
            self._ordinary.setdefault(address, {})[connection] = None
            self._count += 1
            return Admission.ORDINARY
        if len(self._reserve) < self._limits.reserve or self._dismiss_idle(self._reserve):
            self._reserve[connection] = None
            return Admission.RESERVE
        return Admission.NONE

    def leave(self, connection: LimitedProtocol) -> None:
        """Free the place of ``connection``, if it has one."""
        self._reserve.pop(connection, None)
        own = self._ordinary.get(connection.address, {})
        if connection in own:
            del own[connection]
            self._count -= 1
            if not own:
                del self._ordinary[connection.address]

    def _largest_first(self) -> list[dict[LimitedProtocol, None]]:
        return sorted(self._ordinary.values(), key=len, reverse=True)

    def _dismiss_idle(self, connections: dict[LimitedProtocol, None]) -> bool:
        idle = next((connection for connection in connections if connection.is_waiting()), None)
        if idle is not None:
            self.leave(idle)
            idle.cut()
        return idle is not None


class LimitedProtocol(DecliningProtocol):
    """uvicorn's protocol, with limits. Made by ``limited_protocol``, which knows them."""

    limits: ClassVar[ConnectionLimits]
    table: ClassVar[ConnectionTable]

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.app = _without_chunks(self.app)
        self.host = self.address = ""  # the peer's own, and what is counted together with it
        self._deadline: asyncio.TimerHandle | None = None
        self._reading: asyncio.TimerHandle | None = None
        self._in_head = True
        self._message_open = False  # begun, and its body not complete
        self._begun = 0  # messages
        self._head_bytes = self._head_lines = 0  # of the complete lines of the head
        self._framing_bytes = 0  # received for the message without being its body
        self._body_bytes = 0  # of the data at hand
        self._too_large = False

    # the connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        super().connection_made(transport)
        self.host = self.client[0] if self.client else ""
        self.address = household_of(self.host)
        place = self.table.admit(self)
        if place is Admission.NONE:
            self.turn_away(503, _BUSY)
            return
        if place is Admission.RESERVE:
            self.app = _probes_alone(self.app)
        self._expect(self.limits.head_s)

    def connection_lost(self, exc: Exception | None) -> None:
        self.table.leave(self)
        self._cancel_deadline()
        if self._reading is not None:
            self._reading.cancel()
        super().connection_lost(exc)

    def is_idle(self) -> bool:
        """Whether nothing that this connection asked for is being answered."""
        return (self.cycle is None or self.cycle.response_complete) and not self.pipeline

    def is_waiting(self) -> bool:
        """Whether the server waits for this client, and not he for it."""
        return self.is_idle() or (self._message_open and not self._in_head and not self.pipeline)

    def cut(self) -> None:
        """Close, and leave unsent what the other side does not take."""
        if self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            self.transport.close()

    def turn_away(self, status: int, sentence: str) -> None:
        """Say why, where no answer has begun, and close."""
        if self.is_idle() or not self.cycle.response_started:
            phrase = {400: "Bad Request", 408: "Request Timeout", 431: "Request Header Fields Too Large"}
            head = f"HTTP/1.1 {status} {phrase.get(status, 'Service Unavailable')}\r\n"
            head += f"content-type: text/plain\r\ncontent-length: {len(sentence)}\r\nconnection: close\r\n\r\n"
            self.transport.write((head + sentence).encode("ascii"))
        self.cut()

    # what comes in

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        idle, begun = self.is_idle() and not self._message_open, self._begun
        if idle and self._deadline is None:
            self._expect(self.limits.head_s)
        self._body_bytes = 0
        super().data_received(data)
        if idle or begun == self._begun:
            self._framing_bytes += len(data) - self._body_bytes
        if self.transport.is_closing():
            return
        if self._in_head and self._framing_bytes > self.limits.head_bytes:
            self.turn_away(431, f"The head of a request may hold {self.limits.head_bytes} bytes.")
        elif self._framing_bytes > self.limits.framing_bytes or len(self.pipeline) > self.limits.pipelined:
            self.cut()

    def send_400_response(self, msg: str) -> None:
        if self._too_large:
            self.turn_away(431, f"The head may hold {self.limits.header_lines} lines, {self.limits.head_bytes} bytes.")
        else:
            self.turn_away(400, msg)

    def on_message_begin(self) -> None:
        if self.is_idle():
            self._expect(self.limits.head_s)
        super().on_message_begin()
        self._begun += 1
        self._in_head = self._message_open = True
        self._head_bytes = self._head_lines = self._framing_bytes = 0

    def on_url(self, url: bytes) -> None:
        self._count(len(url), 0)
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count(len(name) + len(value) + 4, 1)
        if self._in_head:  # what comes after a body in pieces is of no proxy's making, and was looked at by nobody
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._expect(self.limits.body_s)
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._message_open = False
        self._cancel_deadline()
        super().on_message_complete()
        if self.is_idle():  # answered before it had come to its end; uvicorn has forgotten that it waits
            self._expect(self.timeout_keep_alive)

    def _count(self, size: int, lines: int) -> None:
        self._head_bytes += size
        self._head_lines += lines
        if self._head_bytes > self.limits.head_bytes or self._head_lines > self.limits.header_lines:
            self._too_large = True
            raise ValueError("the head is too large")  # the parser stops and says 400

    # what goes out

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._message_open and not self._in_head and not self.pipeline:
            self._expect(self.limits.linger_s)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._reading = self.loop.call_later(self.limits.read_s, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None

    # time

    def _expect(self, within_s: float) -> None:
        self._cancel_deadline()
        self._deadline = self.loop.call_later(within_s, self._too_slow)

    def _cancel_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_slow(self) -> None:
        self._deadline = None
        if self.transport.is_closing():
            return
        if self._message_open and not (self.cycle and self.cycle.response_complete and not self._in_head):
            self.turn_away(408, "The request took too long to arrive.")
        else:
            self.cut()


def limited_protocol(limits: ConnectionLimits, is_proxy: Callable[[str], bool]) -> type[LimitedProtocol]:
    """The protocol of one server. Behind a proxy, as on this machine, may be many clients."""

    class Protocol(LimitedProtocol):
        pass

    Protocol.limits = limits
    Protocol.table = ConnectionTable(limits, lambda address: is_loopback(address) or is_proxy(address))
    return Protocol


def _without_chunks(app: Any) -> Any:
    """``app``, whose answers to HTTP/1.0, which knows no chunks (RFC 9112, 6.1), end with the connection. uvicorn
    closes that, and would send chunks before."""

    async def answer(scope: Scope, receive: Receive, send: Any) -> None:
        if scope["http_version"] != "1.0":
            await app(scope, receive, send)
            return
        cycle: RequestResponseCycle = send.__self__

        async def send_unchunked(message: Message) -> None:
            if message["type"] == "http.response.start":
                cycle.chunked_encoding = True  # then it adds no header for that
            else:
                cycle.chunked_encoding, cycle.expected_content_length = False, len(message.get("body", b""))
            await send(message)

        await app(scope, receive, send_unchunked)

    return answer


def _probes_alone(app: Any) -> Any:
    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] in PROBES:
            await app(scope, receive, send)
        else:
            await JSONResponse({"detail": _BUSY}, 503, _GO_AWAY)(scope, receive, send)

    return answer
