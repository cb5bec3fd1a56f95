"""One port for page and API, from the first socket to the last answer. A start has six steps:

app.py      load_settings           bad options are told together, before anything slow is imported
main        1 listen                the port is ours, or the start is refused
            2 PidFile.claim, write  this folder is ours, as claim_data says of the data's; ./start.sh finds this process
              open_to               a login where strangers may come, made if none was given
serve_until_signal
            3 standing_wall         every path answers that the model is being loaded; the wall is there from the start
  load_then_open
            4 load_app              in a thread (build.py): engine, service, API, page
            5 LoadingGate.open      the app answers from here on
            6 Service.drain         a first signal lets running answers finish; a second ends the process at once
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import functools
import gc
import logging
import os
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Literal

import uvicorn
from starlette.types import ASGIApp

from qwen_app.errors import PortTaken, SettingsError, StartupError
from qwen_app.serve.build import App, load_app
from qwen_app.serve.connections import ConnectionLimits, limited_protocol
from qwen_app.serve.ending import leave, set_at_signal
from qwen_app.serve.first_login import open_to
from qwen_app.serve.loading_page import LoadingGate
from qwen_app.serve.logs import leave_out_words_of_others, set_up_logs
from qwen_app.serve.open_files import connection_limits, raise_open_files
from qwen_app.serve.pidfile import PidFile, ServerProcess, claim_data
from qwen_app.settings import Settings
from qwen_app.web.owner_door import OwnerDoor
from qwen_app.web.wall import standing_wall

log = logging.getLogger(__name__)

DRAIN_S = 30.0  # running answers may take this long to finish
_CLOSE_S = 3  # after that, what is still connected is cut off
_BACKLOG = 2048
_ACCEPTED_AT_ONCE = 64
_UNFORESEEN_EXIT = 1
_REACHED_BY_LINK = ("127.0.0.1", "0.0.0.0", "::")


def main(settings: Settings) -> int:
    """Run page and API as ``settings`` say; the exit code. Raises StartupError before anything slow begins."""
    limits, pid_file = connection_limits(raise_open_files()), PidFile()
    try:
        listener = listen(settings.host, settings.port)
    except PortTaken:
        pid_file.claim()  # by this folder's own app, most likely, which is no other program
        raise
    if settings.share:
        refuse_unreachable_by_link(listener, settings.host)
    set_up_logs(settings.log_level, form=settings.log_format)
    process = ServerProcess(os.getpid(), settings.host, settings.port, settings.model)
    pid_file.claim()
    claim_data(settings.data_dir)
    for sentence in settings.unused():
        log.warning("%s", sentence)
    pid_file.write(process)
    settings, door = open_to(settings, process.url)
    log.info("Loading the model. The page opens at %s", process.url)
    if settings.is_local():
        log.info("No login: a proxy or tunnel on this machine lets strangers in. Start it with QWEN_AUTH to ask them.")

    gate = LoadingGate.before_start(settings)

    def load() -> App:
        app = load_app(settings, gate.progress, gate.guests)
        pid_file.write(replace(process, model=app.service.info().model))  # "auto" has become a name
        return app

    try:
        code = asyncio.run(serve_until_signal(listener, load, settings, limits, door, gate))
    finally:
        pid_file.remove_own()
    return leave(code)


def listen(host: str, port: int) -> socket.socket:
    """A socket listening on exactly ``host`` and ``port``. Raises PortTaken, or SettingsError for a bad host."""
    if host == "*":  # to getaddrinfo it is one of this machine's own addresses, to people all of them
        raise SettingsError("--host * is not an address: --host 0.0.0.0 takes all that this machine has.")
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError as unknown:
        raise SettingsError(f"--host {host} is not an address: {unknown.strerror}.") from unknown
    except UnicodeError as unknown:  # a name with a part that is empty or too long
        raise SettingsError(f"--host {host} is not an address: no machine has such a name.") from unknown
    # The protocol is named, for asyncio sends small packets at once only where it is known to be TCP. Else the body of
    # an answer waits for the client to confirm its head, which takes clients 40 ms on a connection they keep.
    try:
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    except OSError as unknown:  # IPv6 on a machine without it
        raise SettingsError(f"--host {host}: {unknown.strerror}. Choose another address.") from unknown
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError as refused:
        listener.close()
        raise _cannot_listen(host, port, refused) from refused
    return listener


def refuse_unreachable_by_link(listener: socket.socket, host: str) -> None:
    """Raise SettingsError where a public link would be dead. A name says nothing of that: localhost may be ::1."""
    address = listener.getsockname()[0]
    if address not in _REACHED_BY_LINK:
        listener.close()
        raise SettingsError(
            f"--share leads to 127.0.0.1, and --host {host} listens on {address} alone. Leave --host out."
        )


def _cannot_listen(host: str, port: int, refused: OSError) -> StartupError:
    if refused.errno == errno.EADDRINUSE:
        return PortTaken(f"Port {port} is taken by another program. Stop that one, or choose another port with --port.")
    advice = {
        errno.EACCES: "Low ports are kept for root: choose one from 1024 on with --port, and put a proxy before it",
        errno.EADDRNOTAVAIL: "This machine has no such address: --host 0.0.0.0 takes all that it has",
    }.get(refused.errno or 0, "Choose another address with --host, or another port with --port")
    return SettingsError(f"Cannot listen on {host}, port {port}: {refused.strerror}. {advice}.")


async def serve_until_signal(
    listener: socket.socket,
    load: Callable[[], App],
    settings: Settings | None = None,
    limits: ConnectionLimits | None = None,
    door: OwnerDoor | None = None,
    gate: LoadingGate | None = None,
) -> int:
    """Answer on ``listener`` until a signal ends it; the process's exit code.

    ``load`` makes the app, in a thread; until it has, every path answers the loading page. The first SIGTERM or SIGINT
    lets running answers finish, the second ends the process at once.
    """
    stop = asyncio.Event()
    forced = set_at_signal(stop)
    gate = gate or LoadingGate()
    settings = settings or Settings()
    sessions = door.sessions if door else None
    async with contextlib.AsyncExitStack() as lifespan:  # the app's; left when the server has closed
        walled = lifespan.enter_context(standing_wall(gate, settings, sessions, gate.guests))
        server = Server(server_config(walled, settings, limits or ConnectionLimits()))
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        serving.add_done_callback(lambda _: stop.set())  # a server that failed is not waited for
        if door:
            await lifespan.enter_async_context(door)
        opened = await load_then_open(load, gate, lifespan, stop)
        if isinstance(opened, App):
            await stop.wait()
            forced.begin()
            log.info("Stopping: running answers may finish within %.0f s. A second signal stops at once.", DRAIN_S)
            await opened.service.drain(DRAIN_S)
        server.should_exit = True
        await serving
    return 0 if isinstance(opened, App) else opened


async def load_then_open(
    load: Callable[[], App], gate: LoadingGate, lifespan: contextlib.AsyncExitStack, stop: asyncio.Event
) -> App | int:
    """Load the app, enter its lifespan and open ``gate`` to it; or the exit code, if ``stop`` or an error was first."""
    loading = _in_thread(load)
    stopped = asyncio.create_task(stop.wait())
    first: set[asyncio.Future[App] | asyncio.Task[Literal[True]]] = {loading, stopped}
    await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
    if not loading.done():
        log.info("Stopping: the model is not loaded any further.")
        return 0
    stopped.cancel()
    try:
        app = loading.result()
    except StartupError as refusal:
        log.error("%s", refusal)
        return refusal.exit_code
    except Exception:
        log.exception("The start failed in a way nobody foresaw.")
        return _UNFORESEEN_EXIT
    await lifespan.enter_async_context(app.asgi.router.lifespan_context(app.asgi))
    gc.freeze()  # what was loaded stays: looking through it for garbage would hold everybody up, a tenth of a second
    leave_out_words_of_others()
    gate.open(app.asgi)
    log.info("Ready.")
    return app


class Server(uvicorn.Server):
    """uvicorn with the signals left to us: it would die by the signal, where we end with a code."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Let many wait to be accepted, though few are at a time, lest a burst takes up all open files at once."""
        await super().startup(sockets)
        for listener in sockets or []:
            listener.listen(_BACKLOG)


def server_config(app: ASGIApp, settings: Settings, limits: ConnectionLimits) -> uvicorn.Config:
    """uvicorn as we run it: our limits, and nothing believed that a client says of himself."""
    return uvicorn.Config(
        app,
        http=limited_protocol(limits, settings.proxies().holds),
        ws="none",
        proxy_headers=False,
        lifespan="off",  # the app comes later; load_then_open enters its lifespan
        log_config=None,
        access_log=False,
        server_header=False,
        backlog=_ACCEPTED_AT_ONCE,
        timeout_graceful_shutdown=_CLOSE_S,
    )


def _in_thread(load: Callable[[], App]) -> asyncio.Future[App]:
    """Run ``load`` in a thread that does not keep the process alive: a stop while loading is not kept waiting."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[App] = loop.create_future()

    def deliver(set_outcome: Callable[[], None]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has closed: nobody waits any more
            loop.call_soon_threadsafe(set_outcome)

    def load_and_deliver() -> None:
        try:
            deliver(functools.partial(future.set_result, load()))
        except BaseException as error:
            deliver(functools.partial(future.set_exception, error))

    threading.Thread(target=load_and_deliver, name="load", daemon=True).start()
    return future
