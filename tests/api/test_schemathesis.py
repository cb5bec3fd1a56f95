"""Requests made up from our own OpenAPI description: none ends in a 500, and every answer is one it describes."""

from __future__ import annotations

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from qwen_app.api.docs import describe_api
from qwen_app.api.routes import build_router
from qwen_app.metrics import Telemetry
from qwen_app.service import Service
from qwen_app.settings import Settings
from qwen_app.testing.scripted_engine import ScriptedEngine
from tests.api.serving import Api
from tests.examples import examples

pytestmark = pytest.mark.slow  # a campaign

CHECKS: list[Any] = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    unsupported_method,
]


SERVICE = Service(ScriptedEngine())
DESCRIPTION = describe_api(build_router(SERVICE, Settings(), Telemetry(SERVICE)))
OPERATIONS = [result.ok() for result in schemathesis.openapi.from_dict(DESCRIPTION).get_all_operations()]


CASES = [
    pytest.param(operation, mode, id=f"{operation.label} {mode.value}")
    for operation in OPERATIONS
    for mode in GenerationMode
    if mode is GenerationMode.POSITIVE or operation.body  # without a body there is nothing to break
]


@pytest.mark.parametrize(("operation", "mode"), CASES)
def test_made_up_requests(scripted_api: Api, operation: Any, mode: GenerationMode) -> None:
    """``mode`` is whether the requests follow the description or break it."""

    @settings(
        max_examples=examples(25),
        derandomize=True,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def check(case: schemathesis.Case[Any]) -> None:
        if isinstance(case.body, dict) and isinstance(case.body.get("model"), str):
            case.body["model"] = "default"  # a made-up name would end every request at its first check
        response = case.call(base_url=scripted_api.url)
        case.validate_response(response, checks=CHECKS)
        assert response.headers.get("x-request-id")
        if response.status_code >= 400:
            openais, error = not operation.path.startswith("/v1/messages"), response.json()["error"]
            shape = {"message", "type", "param", "code"} if openais else {"message", "type", "details"}
            assert set(error) | (shape & {"details"}) == shape

    check()
