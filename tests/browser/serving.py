"""Real servers for a real browser: the whole app as a process, and the page on a scripted engine."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, contextmanager, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from qwen_app.engine.base import Engine
from qwen_app.serve.asgi import build_asgi
from qwen_app.serve.connections import ConnectionLimits
from qwen_app.serve.server import Server, listen, server_config
from qwen_app.service import Service
from qwen_app.settings import Settings
from qwen_app.web.guests.guest_door import GuestDoor
from qwen_app.web.wall import wall

ROOT = Path(__file__).resolve().parent.parent.parent
START_S = 240


@contextmanager
def running_app(log: Path, *, port: int = 0, processes: list[int] | None = None, **settings: object) -> Iterator[str]:
    """``python app.py`` with the built-in model, on ``port`` or a free one; its address once it answers.

    Its process id is added to ``processes``, for those who want to kill it.
    """
    port = port or _free_port()
    environ = dict(os.environ, QWEN_PORT=str(port), QWEN_MODEL="builtin", PYTHONUNBUFFERED="1")
    environ["QWEN_MODELS_DIR"] = str(ROOT / "models")
    environ |= {f"QWEN_{name.upper()}": str(value) for name, value in settings.items()}
    command = [sys.executable, str(ROOT / "app.py")]
    with log.open("wb") as output:  # in a folder of its own, for a folder has one app
        process = subprocess.Popen(command, cwd=log.parent, env=environ, stdout=output, stderr=output)
    if processes is not None:
        processes.append(process.pid)
    try:
        url = f"http://127.0.0.1:{port}"
        _wait_until_ready(url, process, log)
        yield url
    finally:
        process.terminate()
        process.wait(timeout=60)


@contextmanager
def running_page(engine: Engine, **settings: Any) -> Iterator[str]:
    """The whole app on ``engine``, in a thread. ``settings`` are fields of Settings; its chats are nobody else's."""
    with TemporaryDirectory() as folder:
        asked = Settings(**{"data_dir": Path(folder)} | settings)
        guests = GuestDoor()
        with serving(lambda: build_asgi(Service(engine), asked, guests=guests), asked, guests) as url:
            yield url


@contextmanager
def serving(
    build: Callable[[], ASGIApp], settings: Settings | None = None, guests: GuestDoor | None = None
) -> Iterator[str]:
    """The app that ``build`` makes, behind the wall, in a thread; it is made with the server's loop running."""
    asked = settings or Settings()
    with listen("127.0.0.1", 0) as listener, ThreadPoolExecutor(1, "page-under-test") as thread:
        server = Server(server_config(_nothing, asked, ConnectionLimits()))
        running = thread.submit(asyncio.run, _serve(server, build, asked, listener, guests))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        try:
            with httpx.Client(transport=httpx.HTTPTransport(retries=10), trust_env=False, timeout=START_S) as client:
                client.get(f"{url}/health").raise_for_status()
            yield url
        finally:
            server.should_exit = True
            running.result(timeout=20)


async def _serve(
    server: Server,
    build: Callable[[], ASGIApp],
    settings: Settings,
    listener: socket.socket,
    guests: GuestDoor | None = None,
) -> None:
    app = build()  # Gradio makes loops of its own where none runs, and never closes them
    server.config.app = wall(app, settings, guests=guests)
    lifespan: AbstractAsyncContextManager[object] = (
        app.router.lifespan_context(app) if isinstance(app, FastAPI) else nullcontext()
    )
    async with lifespan:
        await server.serve([listener])


async def _nothing(scope: Scope, receive: Receive, send: Send) -> None:
    """Until the app is built."""


def _wait_until_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_S
    with httpx.Client(trust_env=False, timeout=10) as client:
        while time.monotonic() < deadline and process.poll() is None:
            try:
                if client.get(f"{url}/ready").status_code == 200:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.2)
    raise RuntimeError(f"the app did not start:\n{log.read_text(encoding='utf-8')}")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
