"""Every endpoint of the API, in the order in which its documentation lists them."""

from __future__ import annotations

from fastapi import APIRouter

from qwen_app.api.endpoints.api_parts import ApiParts
from qwen_app.api.endpoints.chat_completions import add_chat_routes
from qwen_app.api.endpoints.completions import add_completion_routes
from qwen_app.api.endpoints.models import add_model_routes
from qwen_app.api.endpoints.responses import add_response_routes
from qwen_app.api.endpoints.state import add_state_routes
from qwen_app.api.endpoints.tokenize import add_token_routes


def add_endpoints(router: APIRouter, parts: ApiParts) -> None:
    """Add them all to ``router``."""
    add_state_routes(router, parts)
    add_model_routes(router, parts)
    add_chat_routes(router, parts)
    add_completion_routes(router, parts)
    add_response_routes(router, parts)
    add_token_routes(router, parts)
