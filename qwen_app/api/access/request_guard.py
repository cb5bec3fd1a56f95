"""Who sends a request: a FastAPI dependency of all endpoints that are not public.

OpenAPI shows it as a bearer key, or as ``x-api-key``, which is what clients of Anthropic send.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer
from fastapi.security.utils import get_authorization_scheme_param
from starlette.types import Receive

from qwen_app.api.access.api_keys import ApiKeyStore
from qwen_app.api.access.rate_limits import Caller
from qwen_app.http.middleware import request_id_of
from qwen_app.http.turns import Turnstile

bearer = HTTPBearer(
    scheme_name="key",
    auto_error=False,
    description="One of the server's API keys. A server without keys answers programs on its own machine, with none.",
)
KEY_HEADER = "x-api-key"
key_header = APIKeyHeader(name=KEY_HEADER, scheme_name="x-api-key", auto_error=False)


@dataclass(frozen=True, slots=True)
class RequestContext:
    """One request to an endpoint: who asks, under which id, and the channel that tells when they leave."""

    request_id: str
    caller: Caller
    receive: Receive


def key_of(request: Request) -> str | None:
    """The key in the ``Authorization`` header, as HTTPBearer reads it; else that in ``x-api-key``."""
    scheme, key = get_authorization_scheme_param(request.headers.get("authorization"))
    if scheme.lower() != "bearer" or not key:
        key = request.headers.get(KEY_HEADER, "")
    return key.strip(" \t") or None  # not every HTTP server takes the blanks off that a header may end in


class RequestGuard:
    """The dependency. ``counted`` requests use up the caller's limit; files come in through a ``turnstile``."""

    def __init__(self, keys: ApiKeyStore, *, counted: bool = True, turnstile: Turnstile | None = None) -> None:
        self._keys = keys
        self._counted = counted
        self._turnstile = turnstile

    def through(self, turnstile: Turnstile) -> RequestGuard:
        """The same guard, for a route that takes files."""
        return RequestGuard(self._keys, counted=self._counted, turnstile=turnstile)

    @asynccontextmanager
    async def admitted(self, request: Request) -> AsyncGenerator[None, None]:
        """Check and count ``request`` before its body is read; FastAPI solves dependencies after that.

        Raises AuthenticationError, PermissionDenied or TooManyRequests.
        """
        caller = self._keys.caller_of(request, key_of(request))
        if self._counted:
            caller.count_request()
        async with self._turnstile.in_turn(caller.owner) if self._turnstile else nullcontext():
            yield

    async def __call__(
        self,
        request: Request,
        _bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)],
        _header: Annotated[str | None, Depends(key_header)],
    ) -> RequestContext:
        """What the endpoint is told; the two keys are named for OpenAPI. Raises as ``admitted`` does."""
        caller = self._keys.caller_of(request, key_of(request))
        return RequestContext(request_id_of(request.scope), caller, request.receive)
