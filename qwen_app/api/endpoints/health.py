"""``GET /health``: the process lives. ``GET /ready``: it can answer. Neither needs a key."""

from __future__ import annotations

from typing import Any

from starlette.responses import JSONResponse

from qwen_app.service import Service

RETRY_AFTER_S = "5"


def live() -> dict[str, str]:
    return {"status": "ok"}


def readiness(service: Service) -> JSONResponse:
    """200 when the worker moves and takes requests, else 503 and why not."""
    health = service.health()
    body: dict[str, Any] = {
        "status": health.state,
        "reason": health.reason,
        "running": health.running,
        "queued": health.queued,
        "heartbeat_age_s": round(health.heartbeat_age_s, 3),
    }
    if health.ready:
        return JSONResponse(body)
    return JSONResponse(body, 503, {"retry-after": RETRY_AFTER_S})
