"""An app with all that stands before the page, and neither page nor API behind it."""

from __future__ import annotations

from functools import cache

from fastapi import FastAPI

from qwen_app.api.routes import build_router
from qwen_app.http.middleware import install_request_middleware
from qwen_app.http.paths import PathPrefixes
from qwen_app.metrics import Telemetry
from qwen_app.saved_chats.saved_chats import SavedChats
from qwen_app.service import Service
from qwen_app.settings import Settings
from qwen_app.testing.scripted_engine import ScriptedEngine
from qwen_app.web.install import install_web
from qwen_app.web.wall import Wall


@cache
def api_paths() -> PathPrefixes:
    """The paths of the real API."""
    service = Service(ScriptedEngine())
    return PathPrefixes.of_routes(build_router(service, Settings(), Telemetry(service)).routes)


def bare_app(settings: Settings, saved: SavedChats | None = None) -> FastAPI:
    """Add the routes to test to it."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    install_web(app, settings, api_paths(), saved)
    app.add_middleware(Wall, settings=settings)
    install_request_middleware(app)
    return app
