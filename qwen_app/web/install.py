"""What stands between the wall and the page, put on the app in one place."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator
from typing import Any

from fastapi import FastAPI

from qwen_app.http.paths import PathPrefixes
from qwen_app.settings import Settings
from qwen_app.web.page_guard import PageGuard
from qwen_app.web.share import share_in_background


def install_web(app: FastAPI, settings: Settings, api_paths: PathPrefixes) -> None:
    """Guard ``app`` behind the wall, and open the public link once it runs. ``api_paths`` are guarded by the API."""
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
