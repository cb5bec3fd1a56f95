"""Whether the other server is well, by polling it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

import httpx2

from qwen_app.engine.base import HealthState
from qwen_app.engine.remote.connection.upstream_errors import words_of
from qwen_app.errors import AppError, EngineUnavailable

log = logging.getLogger(__name__)

Probe = Callable[[], Awaitable[None]]  # raises what is wrong


class HealthMonitor:
    """``discover`` finds out who answers, ``check`` whether that server, once it was ready, still is. ``title`` is what
    people call it. ``reason`` says why it is not ready."""

    def __init__(
        self, discover: Probe, check: Probe, title: Callable[[], str], *, reason: str, interval_s: float
    ) -> None:
        self.state: HealthState = "loading"
        self.reason = reason
        self.interval_s = interval_s
        self._discover = discover
        self._check = check
        self._title = title
        self._discovery: asyncio.Future[None] | None = None
        self._discovered_at = float("-inf")
        self._polling: asyncio.Task[None] | None = None
        self._ready_at = time.monotonic()

    @property
    def age_s(self) -> float:
        """Seconds since the server was last ready."""
        return time.monotonic() - self._ready_at

    def start(self) -> None:
        """Starts polling, where an event loop runs and nothing was started."""
        if self._polling is None:
            with suppress(RuntimeError):
                self._polling = asyncio.get_running_loop().create_task(self._poll())

    async def discover(self) -> None:
        """Finds out who answers; failing that, ``state`` and ``reason`` say why.

        What was found last counts until the next poll: a server that is silent takes each discovery long.
        """
        if time.monotonic() - self._discovered_at >= self.interval_s:
            await self.rediscover()

    async def rediscover(self) -> None:
        """One discovery for all who want one meanwhile. It goes on when one of them is gone, as they do without it."""
        if self._discovery is None or self._discovery.done():
            self._discovery = asyncio.ensure_future(self._record(self._timed_discovery))
        await asyncio.wait({self._discovery})

    async def close(self) -> None:
        running = [task for task in (self._polling, self._discovery) if task is not None and not task.done()]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    async def _poll(self) -> None:
        while True:
            if self.state == "ready":
                await self._record(self._check)
            if self.state != "ready":
                await self.rediscover()
            await asyncio.sleep(self.interval_s)

    async def _timed_discovery(self) -> None:
        try:
            await self._discover()
        finally:
            self._discovered_at = time.monotonic()

    async def _record(self, probe: Probe) -> None:
        """Whatever ``probe`` ends with is the server's state: the next one may find another."""
        try:
            await probe()
        except httpx2.HTTPError as error:
            self._set_unhealthy("stalled", f"{self._title()} cannot be reached ({words_of(error)}). Is it running?")
        except AppError as error:
            self._set_unhealthy("loading" if isinstance(error, EngineUnavailable) else "stalled", error.message)
        except Exception as error:
            self._set_unhealthy("stalled", f"{self._title()} sent something this app does not understand.", error)
        else:
            self.state, self.reason = "ready", ""
            self._ready_at = time.monotonic()

    def _set_unhealthy(self, state: HealthState, reason: str, unforeseen: Exception | None = None) -> None:
        if reason != self.reason:
            log.warning("remote server: %s", reason, exc_info=unforeseen)
        self.state, self.reason = state, reason
