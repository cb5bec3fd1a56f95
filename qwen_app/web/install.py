"""What stands between the wall and the page, put on the app in one place."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator
from typing import Any

from fastapi import FastAPI

from qwen_app.http.paths import PathPrefixes
from qwen_app.settings import Settings
from qwen_app.web.login import LOGIN, LOGOUT
from qwen_app.web.page_calls.faults import GradioFaults, keep_traces_out
from qwen_app.web.page_calls.ledger import Ledger
from qwen_app.web.page_calls.middleware import PageCalls
from qwen_app.web.page_calls.origin import OwnOrigin
from qwen_app.web.page_guard import PageGuard
from qwen_app.web.share import share_in_background


def install_web(app: FastAPI, settings: Settings, api_paths: PathPrefixes) -> None:
    """Guard ``app`` behind the wall, and open the public link once it runs. ``api_paths`` are guarded by the API."""
    keep_traces_out()
    not_gradios = api_paths.also(LOGIN, LOGOUT)
    # the innermost first: what is added last comes first
    app.add_middleware(OwnOrigin, own_host=f"localhost:{settings.port}", not_gradios=not_gradios)
    app.add_middleware(GradioFaults, not_gradios=not_gradios)
    app.add_middleware(PageCalls, ledger=Ledger())
    app.add_middleware(PageGuard, api_paths=api_paths)
    if settings.share:
        _share_when_running(app, settings)


def _share_when_running(app: FastAPI, settings: Settings) -> None:
    inner = app.router.lifespan_context

    @contextlib.asynccontextmanager
    async def lifespan(running: FastAPI) -> AsyncGenerator[Any, None]:
        async with inner(running) as state:
            share_in_background(settings)
            yield state

    app.router.lifespan_context = lifespan
