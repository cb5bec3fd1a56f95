"""A file as the body of a request: of a bounded size, within a bounded time."""

from __future__ import annotations

import asyncio

from starlette.requests import ClientDisconnect, Request

from qwen_app.errors import RequestError, TooLarge

NAME_HEADER = "x-file-name"  # percent-encoded UTF-8
LIMIT_S = 60.0  # for a file to come in


def announces_more(request: Request, limit_bytes: int) -> bool:
    """Whether the body is longer than ``limit_bytes`` by its own word."""
    announced = request.headers.get("content-length", "")
    return announced.isdigit() and (len(announced) > 18 or int(announced) > limit_bytes)


async def read_body(request: Request, limit_bytes: int, too_large: str) -> bytes:
    """The body. Raises TooLarge with the sentence ``too_large``, and RequestError where it does not come."""
    if announces_more(request, limit_bytes):
        raise TooLarge(too_large)
    body = bytearray()
    try:
        async with asyncio.timeout(LIMIT_S):
            async for piece in request.stream():
                body += piece
                if len(body) > limit_bytes:
                    raise TooLarge(too_large)
    except TimeoutError:
        raise RequestError("The file took too long to come in. Try again.") from None
    except ClientDisconnect:
        raise RequestError("The upload broke off. Try again.") from None
    return bytes(body)
