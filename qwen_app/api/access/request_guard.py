"""Who sends a request: a FastAPI dependency of all endpoints that are not public. OpenAPI shows it as a bearer key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from fastapi.security.utils import get_authorization_scheme_param
from starlette.types import Receive

from qwen_app.api.access.api_keys import ApiKeyStore
from qwen_app.api.access.rate_limits import Caller
from qwen_app.http.middleware import request_id_of

bearer = HTTPBearer(
    scheme_name="key",
    auto_error=False,
    description="One of the server's API keys. A server without keys answers programs on its own machine, with none.",
)


@dataclass(frozen=True, slots=True)
class RequestContext:
    """One request to an endpoint: who asks, under which id, and the channel that tells when they leave."""

    request_id: str
    caller: Caller
    receive: Receive


def bearer_key(request: Request) -> str | None:
    """The key in the ``Authorization`` header, as HTTPBearer reads it."""
    scheme, key = get_authorization_scheme_param(request.headers.get("authorization"))
    return key if scheme.lower() == "bearer" else None


class RequestGuard:
    """The dependency. ``counted`` requests use up the caller's limit."""

    def __init__(self, keys: ApiKeyStore, *, counted: bool = True) -> None:
        self._keys = keys
        self._counted = counted

    def admit(self, request: Request) -> None:
        """Check and count ``request`` before its body is read; FastAPI solves dependencies after that.

        Raises AuthenticationError, PermissionDenied or TooManyRequests.
        """
        caller = self._keys.caller_of(request, bearer_key(request))
        if self._counted:
            caller.count_request()

    async def __call__(
        self, request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]
    ) -> RequestContext:
        """What the endpoint is told. Raises AuthenticationError or PermissionDenied."""
        caller = self._keys.caller_of(request, credentials.credentials if credentials else None)
        return RequestContext(request_id_of(request.scope), caller, request.receive)
