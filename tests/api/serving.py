"""A real server on a free loopback port, in a thread of its own."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI

from qwen_app.api.routes import install_api
from qwen_app.engine.base import Engine
from qwen_app.http.middleware import install_request_middleware
from qwen_app.service import Service
from qwen_app.settings import Settings

CHAT = "/v1/chat/completions"


@dataclass(frozen=True)
class Api:
    """A running API: its address, and the service behind it."""

    url: str
    service: Service
    app: FastAPI
    http: httpx.Client

    @property
    def port(self) -> int:
        return int(self.url.rsplit(":", 1)[1])

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        return self.http.request(method, path, **options)

    def post(self, path: str, body: object, **options: Any) -> httpx.Response:
        return self.request("POST", path, json=body, **options)

    def chat(self, content: Any = "Hi", **fields: Any) -> httpx.Response:
        body = {"model": "default", "messages": [{"role": "user", "content": content}]}
        return self.post(CHAT, body | fields)


@contextmanager
def running_api(engine: Engine, **settings: Any) -> Iterator[Api]:
    """The API on ``engine`` until the block ends. ``settings`` are fields of Settings."""
    service = Service(engine)
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    install_api(app, service, Settings(**settings))
    install_request_middleware(app)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off", timeout_graceful_shutdown=2))
        thread = threading.Thread(target=lambda: asyncio.run(server.serve([listener])), name="api-under-test")
        thread.start()
        try:
            # verify: there is no TLS here, and reading the machine's certificates takes long
            with httpx.Client(base_url=url, timeout=30, trust_env=False, verify=False) as http:
                http.get("/health").raise_for_status()
                yield Api(url, service, app, http)
        finally:
            server.should_exit = True
            thread.join()


def send_chat(api: Api, **fields: object) -> socket.socket:
    body = json.dumps({"model": "default", "messages": [{"role": "user", "content": "Hi"}], **fields}).encode()
    headers = ["Host: 127.0.0.1", "Content-Type: application/json", f"Content-Length: {len(body)}"]
    head = "\r\n".join([f"POST {CHAT} HTTP/1.1", *headers, "", ""])
    connection = socket.create_connection(("127.0.0.1", api.port), timeout=10)
    connection.sendall(head.encode() + body)
    return connection


def reset(connection: socket.socket) -> None:
    """Close as a machine that vanished does: with RST, not FIN."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.005)
