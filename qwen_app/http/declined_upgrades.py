"""Upgrades that are asked for and not taken: such a request is answered as what else it is (RFC 9110, 7.8).

Java's own client asks for HTTP/2 with every request. uvicorn's parser takes what follows the head of one for another
protocol: its body is lost, or read as the next request, whose answer might be taken for somebody else's by a proxy.
"""

from __future__ import annotations

import sys

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_OFFER = (b"upgrade", b"http2-settings")  # names of headers, and what Connection says of them


class DecliningProtocol(HttpToolsProtocol):
    """uvicorn's protocol, which reads a request that asks for an upgrade once more, without that. Has no WebSocket."""

    _fed = _again = b""
    _plain_head = b""  # of a request that asks for an upgrade, until it is read once more

    def data_received(self, data: bytes) -> None:
        self._again = data
        while self._again and not self.transport.is_closing():
            self._fed, self._again = self._again, b""
            super().data_received(self._fed)

    def on_headers_complete(self) -> None:
        asks = any(name == b"upgrade" for name, _ in self.headers)  # CONNECT does not, and the parser stops there too
        if asks and self.parser.should_upgrade():
            self._plain_head = self._head_without_offer()
        else:
            super().on_headers_complete()

    def on_message_complete(self) -> None:
        if not self._plain_head:
            super().on_message_complete()

    def _unsupported_upgrade_warning(self) -> None:
        """Called where the parser stopped, behind the head. Anybody can ask for one: that is nothing for the log."""
        stopped = sys.exception()
        assert stopped is not None
        if not self._plain_head:
            return
        self._again, self._plain_head = self._plain_head + self._fed[stopped.args[0] :], b""
        self.parser = httptools.HttpRequestParser(self)  # one that read "Connection: close" reads no more
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn has it

    def _head_without_offer(self) -> bytes:
        lines = [b"%b %b HTTP/%b" % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())]
        for name, value in self.headers:
            if name == b"connection":
                value = b", ".join(token for token in _tokens(value) if token.lower() not in _OFFER)
            if name not in _OFFER and (value or name != b"connection"):
                lines.append(b"%b: %b" % (name, value))
        return b"\r\n".join([*lines, b"\r\n"])


def _tokens(value: bytes) -> list[bytes]:
    return [token.strip() for token in value.split(b",")]
