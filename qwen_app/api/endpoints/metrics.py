"""``GET /metrics``, for Prometheus."""

from __future__ import annotations

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import Response

from qwen_app.metrics import Telemetry


def metrics_response(telemetry: Telemetry) -> Response:
    return Response(telemetry.exposition(), media_type=None, headers={"content-type": CONTENT_TYPE_LATEST})
