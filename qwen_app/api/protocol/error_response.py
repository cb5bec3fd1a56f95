"""An error as the answer to a request, in the shape of the API that was asked: OpenAI's or Anthropic's."""

from __future__ import annotations

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import Scope

from qwen_app.api.protocol.anthropic_error import (
    ANTHROPIC_PATHS,
    ANTHROPIC_REQUEST_ID,
    ANTHROPIC_VERSION,
    anthropic_error,
)
from qwen_app.api.protocol.api_error import api_error
from qwen_app.errors import AppError
from qwen_app.http.middleware import REQUEST_ID_HEADER, request_id_of


def error_response(error: Exception, scope: Scope) -> JSONResponse:
    """The answer to the request of ``scope``, which ended in ``error``."""
    request_id = request_id_of(scope)
    shown = api_error(error, request_id)
    if not _of_anthropic(scope):
        return shown.response()
    headers = {**shown.headers, ANTHROPIC_REQUEST_ID: request_id}
    return JSONResponse(anthropic_error(shown, error, request_id), shown.status, headers)


def _of_anthropic(scope: Scope) -> bool:
    """Whether a client of Anthropic's asks: some paths, such as ``/v1/models``, are of both."""
    return ANTHROPIC_PATHS.holds(scope["path"]) or ANTHROPIC_VERSION in Headers(scope=scope)


def install_error_handlers(app: FastAPI) -> None:
    """Answer every error of ``app`` in this way, FastAPI's own 404, 405 and 422 included."""

    async def handle(request: Request, error: Exception) -> JSONResponse:
        response = error_response(error, request.scope)
        # what nobody foresaw is answered outside of the middleware
        response.headers[REQUEST_ID_HEADER] = request_id_of(request.scope)
        return response

    for kind in (AppError, RequestValidationError, HTTPException, Exception):
        app.add_exception_handler(kind, handle)
