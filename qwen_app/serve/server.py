"""One port for page and API: listen, load behind a loading page, open the app, and leave in good order."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import functools
import logging
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import uvicorn

from qwen_app.errors import PortTaken, SettingsError, StartupError
from qwen_app.serve.build import Started, start
from qwen_app.serve.loading_page import Front
from qwen_app.serve.logs import set_up_logs
from qwen_app.serve.pidfile import Running, leave_note, remove_note
from qwen_app.settings import Settings

log = logging.getLogger(__name__)

DRAIN_S = 30.0  # running answers may take this long to finish
_CLOSE_S = 3  # after that, what is still connected is cut off
_BACKLOG = 2048


def listen(host: str, port: int) -> socket.socket:
    """A socket listening on exactly ``host`` and ``port``. Raises PortTaken, or SettingsError for a bad host."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError as unknown:
        raise SettingsError(f"--host {host} is not an address: {unknown.strerror}.") from unknown
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError as refused:
        listener.close()
        if refused.errno == errno.EADDRINUSE:
            raise PortTaken(
                f"Port {port} is taken by another program. Stop that one, or choose another port with --port."
            ) from refused
        raise SettingsError(f"Cannot listen on {host}, port {port}: {refused.strerror}.") from refused
    return listener


def run(settings: Settings) -> int:
    """Run page and API as ``settings`` say; the exit code. Raises StartupError before anything slow begins."""
    listener = listen(settings.host, settings.port)
    set_up_logs(settings.log_level)
    running = Running(os.getpid(), settings.host, settings.port, settings.model)
    leave_note(running)
    log.info("Loading the model. The page opens at %s", running.url)
    try:
        return serve(listener, functools.partial(start, settings, running))
    finally:
        remove_note()


def serve(listener: socket.socket, build: Callable[[], Started]) -> int:
    """Answer on ``listener`` until a signal stops it; returns the process's exit code.

    ``build`` loads the model and builds the app, in a thread; until it is done every path answers the loading page.
    The first SIGTERM or SIGINT lets running answers finish, the second ends the process at once.
    """
    return asyncio.run(_serve(listener, build))


class _Server(uvicorn.Server):
    """uvicorn with the signals left to us: it would die by the signal, where we end with a code."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def _serve(listener: socket.socket, build: Callable[[], Started]) -> int:
    front = Front()
    server = _Server(
        uvicorn.Config(
            front,
            lifespan="off",  # the app arrives later; its lifespan is entered below
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=_CLOSE_S,
        )
    )
    stopping = asyncio.create_task(_first_signal())
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    starting = _in_thread(build)
    async with contextlib.AsyncExitStack() as lifespan:
        first: set[asyncio.Future[Any]] = {starting, stopping, serving}
        await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
        code = 0
        if starting.done():
            code = await _run(starting, front, lifespan, stopping)
        server.should_exit = True
        await serving
    return code


async def _run(
    starting: asyncio.Future[Started], front: Front, lifespan: contextlib.AsyncExitStack, stopping: asyncio.Task[None]
) -> int:
    """Open the app that was started and wait for the signal; the exit code."""
    try:
        started = starting.result()
    except StartupError as refusal:
        log.error("%s", refusal)
        return refusal.exit_code
    except Exception:
        log.exception("The start failed in a way nobody foresaw.")
        return 1
    await lifespan.enter_async_context(started.app.router.lifespan_context(started.app))
    front.open(started.app)
    log.info("Ready.")
    await stopping
    log.info("Stopping: running answers may finish within %.0f s. A second signal stops at once.", DRAIN_S)
    await started.service.drain(DRAIN_S)
    return 0


async def _first_signal() -> None:
    """Return at the first SIGTERM or SIGINT; from then on the next one ends the process at once."""
    arrived = asyncio.Event()
    loop = asyncio.get_running_loop()

    def note(number: int) -> None:
        if arrived.is_set():
            os._exit(128 + number)
        arrived.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, note, number)
    await arrived.wait()


def _in_thread(work: Callable[[], Started]) -> asyncio.Future[Started]:
    """Run ``work`` in a thread that does not keep the process alive: a stop while loading is not kept waiting."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Started] = loop.create_future()

    def deliver(set_outcome: Callable[[Any], None], outcome: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has closed: nobody waits any more
            loop.call_soon_threadsafe(set_outcome, outcome)

    def run() -> None:
        try:
            deliver(future.set_result, work())
        except BaseException as error:
            deliver(future.set_exception, error)

    threading.Thread(target=run, name="start", daemon=True).start()
    return future
