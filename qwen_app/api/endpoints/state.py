"""``GET /health``: the process lives. ``GET /ready``: it can answer. ``GET /metrics``: figures for Prometheus."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter, Depends
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import JSONResponse, PlainTextResponse, Response
from typing_extensions import TypedDict

from qwen_app.api.endpoints.api_parts import ApiParts
from qwen_app.service import Service

RETRY_AFTER_S = "5"


class LiveBody(TypedDict):
    status: Literal["ok"]


def add_state_routes(router: APIRouter, parts: ApiParts) -> None:
    async def health() -> LiveBody:
        """The process lives. Needs no key."""
        return {"status": "ok"}

    async def ready() -> JSONResponse:
        """Requests are answered; 503 and the reason while they are not. Needs no key."""
        return readiness(parts.service)

    async def metrics() -> Response:
        """Figures for Prometheus."""
        return Response(parts.telemetry.exposition(), headers={"content-type": CONTENT_TYPE_LATEST})

    router.add_api_route("/health", health, tags=["state"])
    router.add_api_route("/ready", ready, tags=["state"])
    router.add_api_route(
        "/metrics",
        metrics,
        tags=["state"],
        response_class=PlainTextResponse,
        dependencies=[Depends(parts.uncounted_guard)],
    )


def readiness(service: Service) -> JSONResponse:
    """200 when the worker moves and takes requests, else 503 and why not."""
    health = service.health()
    body = {
        "status": health.state,
        "reason": health.reason,
        "running": health.running,
        "queued": health.queued,
        "heartbeat_age_s": round(health.heartbeat_age_s, 3),
    }
    if health.ready:
        return JSONResponse(body)
    return JSONResponse(body, 503, {"retry-after": RETRY_AFTER_S})
