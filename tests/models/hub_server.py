"""A model hub on loopback with faults on demand: what huggingface_hub asks for, and ranged downloads."""

from __future__ import annotations

import contextlib
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

ENDLESS_BYTES = 200_000_000
MODELSCOPE_FILES = "/api/v1/models/Qwen/Qwen2.5-0.5B-Instruct/repo/files?Revision=master&Recursive=true"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Hub:
    """The files of the one model it has, what to do wrong, and what was asked."""

    files: dict[str, bytes]
    cut_after: dict[str, int] = field(default_factory=dict)  # bytes until the connection drops, once
    statuses: list[int] = field(default_factory=list)  # answered first, one a request for a file
    wrong: set[str] = field(default_factory=set)  # files that arrive with other bytes than promised
    endless: set[str] = field(default_factory=set)  # files that go on when they should end
    sent: int = 0  # bytes of endless files
    ranges: bool = True
    sums: bool = True  # of small files too, as git names them
    asked: list[tuple[str, str]] = field(default_factory=list)
    url: str = ""
    listing: bytes = b""  # what ModelScope's listing says instead, if anything
    listing_status: int = 200

    def modelscope_info(self) -> dict[str, object]:
        """The same model as ModelScope lists it."""
        blobs = [
            {"Path": name, "Size": len(data), "Sha256": hashlib.sha256(data).hexdigest(), "Type": "blob"}
            for name, data in self.files.items()
        ]
        return {"Code": 200, "Data": {"Files": [{"Path": "onnx", "Size": 0, "Type": "tree"}, *blobs]}}

    def info(self) -> dict[str, object]:
        siblings = [
            {
                "rfilename": name,
                "size": len(data),
                **(_large(data) if name.endswith(".safetensors") else _small(data) if self.sums else {}),
            }
            for name, data in self.files.items()
        ]
        return {"_id": "1", "id": "owner/tiny", "modelId": "owner/tiny", "sha": COMMIT, "siblings": siblings}


def _large(data: bytes) -> dict[str, object]:
    return {"blobId": "b", "lfs": {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 100}}


def _small(data: bytes) -> dict[str, object]:
    """As ``git hash-object`` names it."""
    return {"blobId": hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()}


@contextmanager
def serve_hub(hub: Hub) -> Iterator[Hub]:
    class Handler(_Handler):
        pass

    Handler.hub = hub
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = self.path.split("?")[0]
        if path.startswith("/api/models/owner/tiny"):
            self._send(200, json.dumps(self.hub.info()).encode())
        elif self.path.startswith(MODELSCOPE_FILES):
            self._send(self.hub.listing_status, self.hub.listing or json.dumps(self.hub.modelscope_info()).encode())
        elif path.endswith("/repo"):
            self._file(parse_qs(urlsplit(self.path).query)["FilePath"][0])
        elif path.startswith(f"/owner/tiny/resolve/{COMMIT}/"):
            self._file(path.rpartition("/")[2])
        else:
            self._send(404, b"{}", {"X-Error-Code": "RepoNotFound"})

    def _file(self, name: str) -> None:
        wanted = self.headers.get("Range", "")
        self.hub.asked.append((name, wanted))
        if self.hub.statuses:
            self._send(self.hub.statuses.pop(0), b"")
            return
        data = self.hub.files[name]
        if name in self.hub.endless:
            self._send_for_ever(data)
            return
        if name in self.hub.wrong:
            data = bytes(len(data))
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and self.hub.ranges else 0
        if start > len(data):
            self._send(416, b"")
            return
        body = data[start:]
        cut = self.hub.cut_after.pop(name, None)
        self._send(206 if start else 200, body, cut=cut)

    def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None, cut: int | None = None) -> None:
        self.send_response(status)
        for key, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(body if cut is None else body[:cut])
        if cut is not None:
            self.wfile.flush()
            self.close_connection = True

    def _send_for_ever(self, data: bytes) -> None:
        """Without a length, until the other side hangs up or has taken far too much."""
        self.send_response(200)
        self.end_headers()
        self.close_connection = True
        with contextlib.suppress(OSError):
            while self.hub.sent < ENDLESS_BYTES:
                self.wfile.write(data)
                self.hub.sent += len(data)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""
