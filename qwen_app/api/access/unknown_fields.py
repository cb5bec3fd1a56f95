"""Fields of a request body that no endpoint knows: counted and ignored, or refused."""

from __future__ import annotations

from qwen_app.api.protocol.request_bodies import Body
from qwen_app.errors import RequestError
from qwen_app.metrics import Telemetry


class UnknownFields:
    """``strict`` refuses them."""

    def __init__(self, telemetry: Telemetry, *, strict: bool) -> None:
        self._telemetry = telemetry
        self._strict = strict

    def check(self, body: Body) -> None:
        """Count the fields of ``body`` that we ignore. Raises RequestError where they are refused."""
        unknown = sorted(body.model_extra or {})
        if not unknown:
            return
        if self._strict:
            raise RequestError(f"Unknown field '{unknown[0]}'. Leave it out.", param=unknown[0])
        self._telemetry.count_ignored_fields(unknown)
