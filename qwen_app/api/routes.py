"""The API as a whole: its router, and how it is put on an app."""

from __future__ import annotations

from fastapi import APIRouter, FastAPI

from qwen_app.api.access.api_route import ApiRoute, ResponseCounter
from qwen_app.api.docs import add_docs
from qwen_app.api.endpoints.all_routes import add_endpoints
from qwen_app.api.endpoints.api_parts import ApiParts
from qwen_app.api.protocol.api_error import install_error_handlers
from qwen_app.api.protocol.response_bodies import ErrorBody
from qwen_app.api.unmatched import Unmatched, allow_any_path
from qwen_app.http.paths import PathPrefixes
from qwen_app.metrics import Telemetry
from qwen_app.service import Service
from qwen_app.settings import Settings

ERRORS: dict[int | str, dict[str, object]] = {
    "4XX": {"model": ErrorBody, "description": "The request cannot be answered as it is."},
    "5XX": {"model": ErrorBody, "description": "The server failed."},
}


def install_api(app: FastAPI, service: Service, settings: Settings) -> PathPrefixes:
    """Put the API on ``app`` and return the paths it answers. It needs ``install_request_middleware`` beside it."""
    telemetry = Telemetry(service)
    router = build_router(service, settings, telemetry)
    app.include_router(router)
    install_error_handlers(app)
    app.add_middleware(ResponseCounter, telemetry=telemetry)
    return PathPrefixes.of_routes(router.routes)


def build_router(service: Service, settings: Settings, telemetry: Telemetry) -> APIRouter:
    """All routes of the API."""
    allow_any_path()
    router = APIRouter(route_class=ApiRoute, responses=ERRORS)
    add_endpoints(router, ApiParts.of(service, settings, telemetry))
    add_docs(router)
    Unmatched(router.routes).add_to(router)
    return router
