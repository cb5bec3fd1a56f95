"""The whole server as it is run, wall and limits included, on loopback; and raw sockets to attack it with."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import httpx
from starlette.types import ASGIApp

from qwen_app.api.install import install_api
from qwen_app.serve.connections import ConnectionLimits
from qwen_app.serve.loading_page import LoadingGate
from qwen_app.serve.server import Server, listen, server_config
from qwen_app.service import Service
from qwen_app.settings import Settings
from qwen_app.testing.scripted_engine import ScriptedEngine
from qwen_app.web.sessions import Sessions
from qwen_app.web.wall import wall

BYSTANDER_S = 15.0  # generous: the machine may be busy with other tests


@dataclass(frozen=True)
class Walled:
    """A running server, and how to reach it as a bystander and as an attacker."""

    port: int
    host: str = "127.0.0.1"

    @property
    def url(self) -> str:
        return f"http://[{self.host}]:{self.port}" if ":" in self.host else f"http://{self.host}:{self.port}"

    def get(self, path: str = "/health", **options: Any) -> httpx.Response:
        """What a bystander is answered, on a connection of his own."""
        with httpx.Client(trust_env=False, timeout=BYSTANDER_S, verify=False) as client:
            return client.get(self.url + path, **options)

    def connect(self, data: bytes = b"") -> socket.socket:
        connection = socket.create_connection((self.host, self.port), timeout=BYSTANDER_S)
        connection.sendall(data)
        return connection

    def answer(self, data: bytes) -> bytes:
        """All that comes until the server closes the connection."""
        with self.connect() as connection:
            with suppress(OSError):
                connection.sendall(data)
            return everything(connection)


def everything(connection: socket.socket) -> bytes:
    """What still comes on ``connection`` until it is closed. Raises TimeoutError when it never is."""
    came, until = b"", time.monotonic() + BYSTANDER_S
    while time.monotonic() < until:
        try:
            part = connection.recv(65536)
        except ConnectionError:
            return came
        if not part:
            return came
        came += part
    raise TimeoutError("the server did not close the connection")


def is_closed(connection: socket.socket) -> bool:
    """Whether the server has closed it; throws away what it said before."""
    connection.setblocking(False)
    try:
        while connection.recv(65536):
            pass
    except BlockingIOError:
        return False
    except ConnectionError:
        pass
    return True


@contextmanager
def walled(
    app: ASGIApp | None = None,
    limits: ConnectionLimits = ConnectionLimits(),  # noqa: B008 (frozen)
    sessions: Sessions | None = None,
    *,
    on: str = "127.0.0.1",
    **settings: Any,
) -> Iterator[Walled]:
    """``app``, or the loading page, behind the wall until the block ends. ``settings`` are fields of Settings."""
    asked = Settings(**settings)
    with listen(on, 0) as listener, ThreadPoolExecutor(1, "walled") as thread:
        server = Server(server_config(wall(app or LoadingGate(), asked, sessions), asked, limits))
        running = thread.submit(lambda: asyncio.run(server.serve([listener])))
        try:
            while not server.started:
                assert not running.done(), running.result()
                time.sleep(0.01)
            yield Walled(listener.getsockname()[1], on)
        finally:
            server.should_exit = True
            running.result(timeout=30)


def api_app(settings: Settings) -> ASGIApp:
    """The API on a scripted engine, to be served behind the wall."""
    from fastapi import FastAPI

    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    install_api(app, Service(ScriptedEngine()), settings)
    return app
