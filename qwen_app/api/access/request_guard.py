"""What every request passes before its endpoint: an id, a key, a limit; and on the way out: errors, id, counts."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from fastapi import Request
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import Message, Receive

from qwen_app.api.access.api_keys import KeyRing
from qwen_app.api.access.rate_limits import Caller
from qwen_app.api.protocol.errors import api_error
from qwen_app.api.protocol.schema import Body
from qwen_app.api.protocol.sse import ClientGone
from qwen_app.errors import RequestError
from qwen_app.metrics import Telemetry

Handler = Callable[[Request], Coroutine[Any, Any, Response]]
BODY_LIMIT_BYTES = 4 * 2**20
CLIENT_CLOSED_REQUEST = 499  # nginx's number for it; nobody is left to read it


@dataclass(frozen=True, slots=True)
class Visit:
    """One request to an endpoint: who asks, under which id, and the channel that tells when they leave."""

    request_id: str
    caller: Caller
    receive: Receive


class Gate:
    """``strict`` refuses fields that no endpoint knows."""

    def __init__(self, keys: KeyRing, telemetry: Telemetry, new_id: Callable[[], str], *, strict: bool = False) -> None:
        self._keys = keys
        self._telemetry = telemetry
        self._new_id = new_id
        self._strict = strict

    async def handle(self, request: Request, endpoint: Handler, *, public: bool, counted: bool) -> Response:
        """The endpoint's response, or the error it raised as one."""
        request_id = getattr(request.state, "request_id", None) or self._new_id()
        request.state.request_id = request_id
        try:
            if int(request.headers.get("content-length", 0)) > BODY_LIMIT_BYTES:
                raise too_large()
            if not public:
                caller = self._keys.caller_of(request)
                if counted:
                    caller.count_request()
                request.state.visit = Visit(request_id, caller, request.receive)
            response = await endpoint(Request(request.scope, limited(request)))
        except ClientGone:
            response = Response(status_code=CLIENT_CLOSED_REQUEST)
        except Exception as error:
            response = api_error(error, request_id).response()
        response.headers["x-request-id"] = request_id
        self._telemetry.count_response(request.scope["route"].path, response.status_code)
        return response

    def check_fields(self, body: Body) -> None:
        """Count the fields of ``body`` that we ignore, or refuse them."""
        unknown = sorted(body.model_extra or {})
        if not unknown:
            return
        if self._strict:
            raise RequestError(f"Unknown field '{unknown[0]}'. Leave it out.", param=unknown[0])
        self._telemetry.count_ignored_fields(unknown)

    def route_class(self, *, public: bool = False, counted: bool = True) -> type[APIRoute]:
        """A route whose requests pass this gate. ``public`` ones need no key, ``counted`` ones use up the limit."""
        gate = self

        class GatedRoute(APIRoute):
            def get_route_handler(self) -> Handler:
                endpoint = super().get_route_handler()

                async def handle(request: Request) -> Response:
                    return await gate.handle(request, endpoint, public=public, counted=counted)

                return handle

        return GatedRoute


def limited(request: Request) -> Receive:
    """The request's channel, which refuses to hand over more than the limit, whatever length was announced."""
    received_bytes = 0

    async def receive() -> Message:
        nonlocal received_bytes
        message = await request.receive()
        received_bytes += len(message.get("body", b""))
        if received_bytes > BODY_LIMIT_BYTES:
            raise too_large()
        return message

    return receive


def too_large() -> HTTPException:
    # FastAPI lets this kind alone through while it reads a body
    return HTTPException(413, f"The body is over the limit of {BODY_LIMIT_BYTES // 2**20} MiB.")


def visit_of(request: Request) -> Visit:
    visit: Visit = request.state.visit
    return visit
