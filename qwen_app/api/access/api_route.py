"""What surrounds every endpoint: its guard before the body is read, errors in its API's shape, responses counted."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack

from fastapi import Request
from fastapi.routing import APIRoute
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from qwen_app.api.access.request_guard import RequestGuard
from qwen_app.api.protocol.body_reading import BoundedRequest
from qwen_app.api.protocol.error_response import error_response
from qwen_app.api.protocol.sse import ClientGone
from qwen_app.metrics import Telemetry

Handler = Callable[[Request], Coroutine[None, None, Response]]
CLIENT_CLOSED_REQUEST = 499  # nginx's number for it; nobody is left to read it


class ApiRoute(APIRoute):
    """A route whose guard is asked before its body is read, and whose errors leave in the shape of its API."""

    def get_route_handler(self) -> Handler:
        handler = super().get_route_handler()
        guards = [part.call for part in self.dependant.dependencies if isinstance(part.call, RequestGuard)]

        async def handle(request: Request) -> Response:
            try:
                async with AsyncExitStack() as gates:
                    for guard in guards:
                        await gates.enter_async_context(guard.admitted(request))
                    return await handler(BoundedRequest(request.scope, request.receive))
            except ClientGone:
                return Response(status_code=CLIENT_CLOSED_REQUEST)
            except Exception as error:
                return error_response(error, request.scope)

        return handle


class ResponseCounter:
    """ASGI middleware: counts the responses of ApiRoutes by route and status."""

    def __init__(self, app: ASGIApp, *, telemetry: Telemetry) -> None:
        self._app = app
        self._telemetry = telemetry

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        def counting_send(message: Message) -> Awaitable[None]:  # no coroutine of its own: streams send often
            if message["type"] == "http.response.start" and isinstance(route := scope.get("route"), ApiRoute):
                self._telemetry.count_response(route.path, message["status"])
            return send(message)

        await self._app(scope, receive, counting_send)
