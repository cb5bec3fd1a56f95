"""Errors in the shape of Anthropic's API: ``{"type": "error", "error": {"type", "message"}, "request_id"}``.

Format: "Errors" of Anthropic's API reference. Its SDKs choose their exception by status, and read
``details.error_code``, which is our ``code``. It names no field apart, so that the sentence does.
"""

from __future__ import annotations

from typing import Literal, NotRequired

from typing_extensions import TypedDict

from qwen_app.api.protocol.api_error import ApiError
from qwen_app.errors import ContextLengthExceeded
from qwen_app.http.paths import PathPrefixes

ANTHROPIC_PATHS = PathPrefixes(["/v1/messages"])
ANTHROPIC_REQUEST_ID = "request-id"  # the header that its SDKs read
ANTHROPIC_VERSION = "anthropic-version"  # the one that they send

ErrorKind = Literal[
    "invalid_request_error",
    "authentication_error",
    "permission_error",
    "not_found_error",
    "request_too_large",
    "rate_limit_error",
    "overloaded_error",
    "timeout_error",
    "api_error",
]
KINDS: dict[int, ErrorKind] = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
}


class ErrorDetails(TypedDict):
    error_code: str


class AnthropicErrorDetail(TypedDict):
    type: ErrorKind
    message: str
    details: NotRequired[ErrorDetails]


class AnthropicErrorBody(TypedDict):
    type: Literal["error"]
    error: AnthropicErrorDetail
    request_id: str


def anthropic_error(shown: ApiError, error: Exception, request_id: str) -> AnthropicErrorBody:
    """``shown``, which was made of ``error``, as Anthropic's clients expect it."""
    kind = KINDS.get(shown.status, "api_error" if shown.status >= 500 else "invalid_request_error")
    detail: AnthropicErrorDetail = {"type": kind, "message": _sentence(shown, error)}
    if shown.code:
        detail["details"] = {"error_code": shown.code}
    return {"type": "error", "error": detail, "request_id": request_id}


def _sentence(shown: ApiError, error: Exception) -> str:
    if isinstance(error, ContextLengthExceeded):  # coding agents know by this beginning that they must shorten
        return f"prompt is too long: {error.prompt_tokens} tokens > {error.limit_tokens} maximum. {shown.message}"
    if shown.param and shown.param not in shown.message:
        return f"{shown.param}: {shown.message}"
    return shown.message
