"""A real server on a free loopback port, in a thread of its own."""

from __future__ import annotations

import asyncio
import atexit
import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, cast

import httpx
import uvicorn
from fastapi import FastAPI

from qwen_app.api.install import install_api
from qwen_app.engine.base import Engine
from qwen_app.http.middleware import install_request_middleware
from qwen_app.knowledge.knowledge_base import KnowledgeBase
from qwen_app.serve.server import listen
from qwen_app.service import Observer, Service
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
def running_api(
    engine: Engine, *, fresh: bool = False, knowledge: KnowledgeBase | None = None, **settings: Any
) -> Iterator[Api]:
    """The API on ``engine`` until the block ends. ``settings`` are fields of Settings.

    Without any, it is an app that others had before with a service that nobody had: to build one takes longer than most
    tests. Its metrics go on counting, so whoever reads them asks for a ``fresh`` one.
    """
    options = Settings(**settings)
    service = Service(engine, aliases=options.model_names(), fallback=options.fallback_answer)
    if fresh or knowledge or settings:
        with _serving(options, knowledge) as house, house.playing(service) as api:
            yield api
        return
    house = _EMPTY.pop() if _EMPTY else _KEPT.enter_context(_serving(options))
    try:
        with house.playing(service) as api:
            yield api
    finally:
        _EMPTY.append(house)


@contextmanager
def _serving(settings: Settings, knowledge: KnowledgeBase | None = None) -> Iterator[_House]:
    stage = _Stage()
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    install_api(app, cast(Service, stage), settings, knowledge=knowledge)
    install_request_middleware(app)
    with listen("127.0.0.1", 0) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        server = _Server(uvicorn.Config(app, log_level="warning", lifespan="off", timeout_graceful_shutdown=2))
        thread = threading.Thread(target=lambda: asyncio.run(server.serve([listener])), name="api", daemon=True)
        thread.start()
        try:
            # verify: there is no TLS here, and reading the machine's certificates takes long
            with httpx.Client(base_url=url, timeout=30, trust_env=False, verify=False) as http:
                yield _House(url, app, stage, server, http)
        finally:
            server.end()
            thread.join()


class _Stage:
    """Stands where an app has its service, and passes everything on to the one of today."""

    def __init__(self) -> None:
        self._observers: list[Observer] = []
        self._service: Service | None = None

    def observe(self, observer: Observer) -> None:
        self._observers.append(observer)

    def enter(self, service: Service) -> None:
        for observer in self._observers:
            service.observe(observer)
        self._service = service

    def __getattr__(self, name: str) -> Any:
        return getattr(self._service, name)


@dataclass(frozen=True)
class _House:
    """A running server whose service can be another for every test."""

    url: str
    app: FastAPI
    stage: _Stage
    server: _Server
    http: httpx.Client

    @contextmanager
    def playing(self, service: Service) -> Iterator[Api]:
        self.stage.enter(service)
        self.http.get("/health").raise_for_status()
        try:
            yield Api(self.url, service, self.app, self.http)
        finally:
            self.server.quiet()


class _Server(uvicorn.Server):
    """Ends at once when told, where uvicorn looks ten times a second and then waits for another tenth."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._ending = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    async def main_loop(self) -> None:
        self._loop = asyncio.get_running_loop()
        await self.on_tick(0)  # it makes the headers
        await self._ending.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        await self._answered(self.server_state.connections)

    async def _answered(self, *what: Collection[object]) -> None:
        """Wait until no request is being answered and nothing is left of ``what``; cancel what takes too long."""
        waited = (self.server_state.tasks, *what)
        try:
            async with asyncio.timeout(self.config.timeout_graceful_shutdown):
                while any(waited):  # noqa: ASYNC110 (uvicorn has no event for it)
                    await asyncio.sleep(0.002)
        except TimeoutError:
            for task in self.server_state.tasks:
                task.cancel()

    def quiet(self) -> None:
        """Wait until no request is being answered any more."""
        assert self._loop is not None
        asyncio.run_coroutine_threadsafe(self._answered(), self._loop).result()

    def end(self) -> None:
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._ending.set)


_EMPTY: list[_House] = []
_KEPT = ExitStack()  # of those that are used again, until the process ends
atexit.register(_KEPT.close)


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
