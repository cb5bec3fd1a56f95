"""What the machine is doing, as one stream of events for every page that is looked at."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import asdict

from fastapi import FastAPI, Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from qwen_app.errors import RequestError
from qwen_app.http.lifespan import while_running
from qwen_app.http.visitors import chats_owner_of, visitor_of
from qwen_app.service import Service
from qwen_app.web.status.live_status import LiveStatus, StatusSample

STATUS_PATH = "/status"
_HEADERS = {"cache-control": "no-store", "x-accel-buffering": "no"}


def install_status_stream(app: FastAPI, service: Service) -> LiveStatus:
    """Add the route, and sample while ``app`` runs; what has the samples."""
    status = LiveStatus(service)

    @contextlib.asynccontextmanager
    async def sampling() -> AsyncGenerator[None, None]:
        task = asyncio.create_task(status.run())
        try:
            yield
        finally:
            task.cancel()

    @app.get(STATUS_PATH + "/stream", include_in_schema=False)
    async def stream(request: Request) -> Response:
        samples = status.watch(chats_owner_of(request) or visitor_of(request))
        try:
            first = await anext(samples)
        except RequestError as refusal:
            return JSONResponse({"detail": refusal.message}, refusal.http_status)
        return StreamingResponse(_events(first, samples), media_type="text/event-stream", headers=_HEADERS)

    while_running(app, sampling)
    return status


async def _events(
    first: tuple[StatusSample, ...], samples: AsyncGenerator[tuple[StatusSample, ...], None]
) -> AsyncGenerator[str, None]:
    """Server-sent events (HTML Living Standard, 9.2); each is a list of samples."""
    async with aclosing(samples):
        yield _event(first)
        async for newest in samples:
            yield _event(newest)


def _event(samples: tuple[StatusSample, ...]) -> str:
    return f"data: {json.dumps([asdict(sample) for sample in samples])}\n\n"
