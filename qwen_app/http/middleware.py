"""ASGI middleware in front of everything that is served: a request id, a limit on the body, answers in pieces."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable

from fastapi import FastAPI
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

BODY_LIMIT_BYTES = 4 * 2**20
FILE_LIMIT_BYTES = 33 * 2**20  # where whole files come in; who takes them has limits of his own, below this
FILE_PATHS = ("/uploads/document", "/v1/files", "/chats/import")
PIECE_BYTES = 64 * 1024  # of an answer; as much as a connection takes before it waits for its client to read
REQUEST_ID_HEADER = "x-request-id"


def install_request_middleware(app: FastAPI) -> None:
    """Give every request of ``app`` an id and a bounded body. Call it last: what is added last comes first."""
    app.add_middleware(BodyLimitMiddleware)
    app.add_middleware(RequestIdMiddleware)


def request_id_of(scope: Scope) -> str:
    """The id that RequestIdMiddleware gave the request of ``scope``."""
    request_id: str = scope["state"]["request_id"]
    return request_id


class RequestIdMiddleware:
    """Notes a new id in ``scope["state"]["request_id"]`` and sends it as ``x-request-id``. Clients do not choose it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id

        def send_with_id(message: Message) -> Awaitable[None]:  # no coroutine of its own: streams send often
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).setdefault(REQUEST_ID_HEADER, request_id)
            return send(message)

        await self._app(scope, receive, send_with_id)


class PiecesMiddleware:
    """Sends a long body piece by piece, each when the client has read most of those before.

    A server that is handed all of it keeps a copy for each client that does not read.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        def send_in_pieces(message: Message) -> Awaitable[None]:  # no coroutine of its own: streams send often
            long = message["type"] == "http.response.body" and len(message.get("body", b"")) > PIECE_BYTES
            return _in_pieces(message, send) if long else send(message)

        await self._app(scope, receive, send_in_pieces)


class BodyLimitMiddleware:
    """Lets no body over BODY_LIMIT_BYTES (on FILE_PATHS, FILE_LIMIT_BYTES) be read, whatever length was announced.

    It raises where the body is read, so that whoever reads it answers in the shape of its own errors.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        announced = Headers(scope=scope).get("content-length", "")
        limit_bytes = FILE_LIMIT_BYTES if scope["path"] in FILE_PATHS else BODY_LIMIT_BYTES
        too_long = announced.isdigit() and int(announced) > limit_bytes
        received_bytes = 0

        async def bounded_receive() -> Message:
            nonlocal received_bytes
            if too_long:
                raise _too_large(limit_bytes)
            message = await receive()
            received_bytes += len(message.get("body", b""))
            if received_bytes > limit_bytes:
                raise _too_large(limit_bytes)
            return message

        await self._app(scope, bounded_receive, send)


async def _in_pieces(message: Message, send: Send) -> None:
    body: bytes = message["body"]
    for start in range(0, len(body), PIECE_BYTES):
        more = start + PIECE_BYTES < len(body) or message.get("more_body", False)
        await send({**message, "body": body[start : start + PIECE_BYTES], "more_body": more})


def _too_large(limit_bytes: int) -> HTTPException:
    # FastAPI lets this kind alone through while it reads a body
    return HTTPException(413, f"The request is over the limit of {limit_bytes // 2**20} MiB. Send less text.")
