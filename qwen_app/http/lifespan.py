"""What runs as long as an app does."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

from fastapi import FastAPI


def while_running(app: FastAPI, context: Callable[[], AbstractAsyncContextManager[object]]) -> None:
    """Hold ``context`` open while ``app`` runs: begun after what was added before, and ended before it."""
    inner = app.router.lifespan_context

    @contextlib.asynccontextmanager
    async def lifespan(running: FastAPI) -> AsyncGenerator[Any, None]:
        async with inner(running) as state, context():
            yield state

    app.router.lifespan_context = lifespan
