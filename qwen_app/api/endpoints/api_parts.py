"""What the endpoints are made of."""

from __future__ import annotations

from dataclasses import dataclass

from qwen_app.api.access.api_keys import ApiKeyStore
from qwen_app.api.access.request_guard import RequestGuard
from qwen_app.api.access.unknown_fields import UnknownFields
from qwen_app.api.protocol.request_bodies import MAX_CHOICES
from qwen_app.metrics import Telemetry
from qwen_app.service import Service
from qwen_app.settings import Settings


@dataclass(frozen=True, slots=True)
class ApiParts:
    """``guard`` is the dependency of endpoints that need a key; ``uncounted_guard`` uses up no limit. ``most_answers``
    may be asked for at once."""

    service: Service
    telemetry: Telemetry
    guard: RequestGuard
    uncounted_guard: RequestGuard
    unknown_fields: UnknownFields
    most_answers: int

    @classmethod
    def of(cls, service: Service, settings: Settings, telemetry: Telemetry) -> ApiParts:
        """The parts for one API, with the keys and limits of ``settings``."""
        keys = ApiKeyStore.from_settings(settings)
        return cls(
            service,
            telemetry,
            guard=RequestGuard(keys),
            uncounted_guard=RequestGuard(keys, counted=False),
            unknown_fields=UnknownFields(telemetry, strict=settings.strict_api),
            most_answers=max(MAX_CHOICES, settings.queue_limit),
        )
