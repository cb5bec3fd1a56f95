"""The API's routes: which path leads to which endpoint."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Request
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response

from qwen_app.api.access.api_keys import KeyRing
from qwen_app.api.access.request_guard import Gate, visit_of
from qwen_app.api.any_path import allow_any_path
from qwen_app.api.docs import DOCS_HEADERS, DocsPage, describe_api
from qwen_app.api.endpoints.chat_completions import answer_chat
from qwen_app.api.endpoints.completions import Completion, CompletionRequest, answer_completion
from qwen_app.api.endpoints.health import live, readiness
from qwen_app.api.endpoints.metrics import metrics_response
from qwen_app.api.endpoints.models import ModelBody, ModelList, find_model, list_models
from qwen_app.api.endpoints.responses import ResponseBody, answer_response
from qwen_app.api.endpoints.responses_input import ResponsesRequest
from qwen_app.api.endpoints.tokenize import DetokenizeRequest, Text, TokenizeRequest, Tokens, detokenize, tokenize
from qwen_app.api.protocol.errors import install_error_handlers
from qwen_app.api.protocol.schema import ChatCompletion, ChatRequest, ErrorBody
from qwen_app.api.unmatched import Unmatched
from qwen_app.metrics import Telemetry
from qwen_app.service import Service
from qwen_app.settings import Settings

__all__ = ["build_router", "install_error_handlers"]

STREAMING = {"/v1/chat/completions", "/v1/completions", "/v1/responses"}
ERRORS: dict[int | str, dict[str, Any]] = {
    "4XX": {"model": ErrorBody, "description": "The request cannot be answered as it is."},
    "5XX": {"model": ErrorBody, "description": "The server failed."},
}


def build_router(service: Service, settings: Settings) -> APIRouter:
    """All of the API, for a FastAPI app that also calls ``install_error_handlers``."""
    allow_any_path()
    telemetry = Telemetry(service)
    gate = Gate(KeyRing.from_settings(settings), telemetry, service.new_request_id, strict=settings.strict_api)
    router = APIRouter(responses=ERRORS)
    _add_state(router, service, telemetry, gate)
    _add_models(router, service, gate)
    _add_generation(router, service, gate)
    _add_tokens(router, service, gate)
    _add_docs(router, gate)
    Unmatched(router.routes).add_to(router, gate)
    return router


def _add_state(router: APIRouter, service: Service, telemetry: Telemetry, gate: Gate) -> None:
    public = gate.route_class(public=True)

    async def health() -> dict[str, str]:
        """The process lives. Needs no key."""
        return live()

    async def ready() -> JSONResponse:
        """Requests are answered; 503 and the reason while they are not. Needs no key."""
        return readiness(service)

    async def metrics() -> Response:
        """Figures for Prometheus."""
        return metrics_response(telemetry)

    router.add_api_route("/health", health, tags=["state"], route_class_override=public)
    router.add_api_route("/ready", ready, tags=["state"], route_class_override=public)
    uncounted = gate.route_class(counted=False)
    router.add_api_route(
        "/metrics", metrics, tags=["state"], response_class=PlainTextResponse, route_class_override=uncounted
    )


def _add_models(router: APIRouter, service: Service, gate: Gate) -> None:
    guarded = gate.route_class()
    created = int(time.time())

    async def models() -> ModelList:
        """The model that answers here."""
        return list_models(service.info(), created)

    async def model(name: str) -> ModelBody:
        """One model by its id or alias."""
        return find_model(name, service.info(), created)

    router.add_api_route("/v1/models", models, tags=["models"], route_class_override=guarded)
    router.add_api_route("/v1/models/{name:any}", model, tags=["models"], route_class_override=guarded)


def _add_generation(router: APIRouter, service: Service, gate: Gate) -> None:
    guarded = gate.route_class()

    async def chat_completions(body: ChatRequest, request: Request) -> Response:
        """An answer to a conversation, whole or, with ``stream``, as server-sent events."""
        gate.check_fields(body)
        return await answer_chat(service, body, visit_of(request))

    async def completions(body: CompletionRequest, request: Request) -> Response:
        """Plain text continued, without a chat template."""
        gate.check_fields(body)
        return await answer_completion(service, body, visit_of(request))

    async def responses(body: ResponsesRequest, request: Request) -> Response:
        """An answer as typed items. Nothing is stored."""
        gate.check_fields(body)
        return await answer_response(service, body, visit_of(request))

    _post(router, "/v1/chat/completions", chat_completions, guarded, "chat", ChatCompletion)
    _post(router, "/v1/completions", completions, guarded, "completions", Completion)
    _post(router, "/v1/responses", responses, guarded, "responses", ResponseBody)


def _add_tokens(router: APIRouter, service: Service, gate: Gate) -> None:
    guarded = gate.route_class()

    async def to_tokens(body: TokenizeRequest) -> Tokens:
        """Token ids of a text, or the number of tokens of a conversation."""
        gate.check_fields(body)
        return await tokenize(service, body)

    async def to_text(body: DetokenizeRequest) -> Text:
        """The text of token ids."""
        gate.check_fields(body)
        return await detokenize(service, body)

    for prefix in ("", "/v1"):
        _post(router, f"{prefix}/tokenize", to_tokens, guarded, "tokens", Tokens)
        _post(router, f"{prefix}/detokenize", to_text, guarded, "tokens", Text)


def _add_docs(router: APIRouter, gate: Gate) -> None:
    public = gate.route_class(public=True)
    description = describe_api(router)
    page = DocsPage(description)

    async def openapi() -> JSONResponse:
        return JSONResponse(description)

    async def docs(request: Request) -> HTMLResponse:
        return HTMLResponse(page.render(str(request.base_url)), headers=DOCS_HEADERS)

    router.add_api_route("/v1/openapi.json", openapi, include_in_schema=False, route_class_override=public)
    router.add_api_route("/v1/docs", docs, include_in_schema=False, route_class_override=public)


def _post(
    router: APIRouter, path: str, endpoint: Callable[..., Any], kind: type[APIRoute], tag: str, answer: type[BaseModel]
) -> None:
    streams = path in STREAMING
    router.add_api_route(
        path,
        endpoint,
        methods=["POST"],
        tags=[tag],
        response_model=answer,
        responses={200: {"content": {"text/event-stream": {}}}} if streams else None,
        route_class_override=kind,
    )
