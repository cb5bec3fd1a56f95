"""How long a server's event loop comes to nothing else, asked over HTTP."""

from __future__ import annotations

import asyncio
import os
import time

import httpx
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

PERIOD_S = 0.002
# The longest wait that is fine, where other tests keep the machine busy. scripts/idle-machine asks for 0.1 s.
LIMIT_S = float(os.environ.get("LOOP_LIMIT_S", "0.5"))
PATH = "/v1/longest-wait"  # of the API: no session and no page is asked for


class LoopClock:
    """The longest time in which the loop of ``app``'s server came to nothing else, told and begun anew at each
    request.

    It is the time on the wall, or what the process took of the processor meanwhile where that is less: who holds the
    interpreter in a thread holds the loop up as well, and who else is at work on the machine is no concern of ours.
    """

    def __init__(self, app: FastAPI) -> None:
        self._longest_s = 0.0
        self._sampler: asyncio.Task[None] | None = None
        app.router.routes.insert(0, Route(PATH, self._tell))

    async def _tell(self, request: Request) -> Response:
        self._sampler = self._sampler or asyncio.create_task(self._sample())
        told, self._longest_s = self._longest_s, 0.0
        return PlainTextResponse(str(told))

    async def _sample(self) -> None:
        while True:
            started, worked = time.perf_counter(), time.process_time()
            await asyncio.sleep(PERIOD_S)
            waited_s = min(time.perf_counter() - started, time.process_time() - worked)
            self._longest_s = max(self._longest_s, waited_s)


def longest_wait_s(url: str) -> float:
    """What it was since it was last asked."""
    return float(httpx.get(url + PATH, timeout=60, trust_env=False).text)
