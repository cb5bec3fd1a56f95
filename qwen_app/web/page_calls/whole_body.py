"""The whole body of a request within a limit; that of a call to Gradio is looked at before Gradio sees it."""

from __future__ import annotations

from starlette.types import Message, Receive

from qwen_app.errors import RequestError, TooLarge

LIMIT_BYTES = 2 * 2**20


async def read_body(receive: Receive) -> bytes:
    """Raises TooLarge over LIMIT_BYTES, and RequestError where the client leaves before the end."""
    too_large = TooLarge(f"The request is over the limit of {LIMIT_BYTES // 2**20} MiB. Send less text.")
    return await read_within(receive, LIMIT_BYTES, too_large, RequestError("The request broke off. Try again."))


async def read_within(receive: Receive, limit_bytes: int, too_large: TooLarge, broke_off: RequestError) -> bytes:
    """Raises ``too_large`` over ``limit_bytes``, and ``broke_off`` where the client leaves before the end."""
    body, more = bytearray(), True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise broke_off
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > limit_bytes:
            raise too_large
    return bytes(body)


def replayed(body: bytes, receive: Receive) -> Receive:
    """``receive`` for an app that reads ``body`` once more."""
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Message:
        return waiting.pop() if waiting else await receive()

    return again
