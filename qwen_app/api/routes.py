"""The API as a whole: its router."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import RootModel

from qwen_app.api.access.api_route import ApiRoute
from qwen_app.api.anthropic.routes import add_message_routes
from qwen_app.api.docs import add_docs
from qwen_app.api.endpoints.all_routes import add_endpoints
from qwen_app.api.endpoints.api_parts import ApiParts
from qwen_app.api.files.library import Library
from qwen_app.api.files.routes import add_file_routes
from qwen_app.api.protocol.response_bodies import ErrorBody
from qwen_app.api.unmatched import Unmatched, allow_any_path
from qwen_app.metrics import Telemetry
from qwen_app.service import Service
from qwen_app.settings import Settings


class ErrorAnswer(RootModel[ErrorBody]):
    """Describes ErrorBody: the schema of a model is made once, that of a typed dictionary once a route."""


ERRORS: dict[int | str, dict[str, object]] = {
    "4XX": {"model": ErrorAnswer, "description": "The request cannot be answered as it is."},
    "5XX": {"model": ErrorAnswer, "description": "The server failed."},
}


def build_router(
    service: Service, settings: Settings, telemetry: Telemetry, library: Library | None = None
) -> APIRouter:
    """All routes of the API. Without a ``library`` files are kept in memory."""
    allow_any_path()
    router = APIRouter(route_class=ApiRoute, responses=ERRORS)
    parts = ApiParts.of(service, settings, telemetry)
    add_endpoints(router, parts)
    add_message_routes(router, parts)
    add_file_routes(router, parts, library or Library())
    add_docs(router)
    unmatched = APIRouter(route_class=ApiRoute)  # none of it is described: it needs no schema of its errors
    Unmatched(router.routes).add_to(unmatched)
    router.routes.extend(unmatched.routes)
    return router
