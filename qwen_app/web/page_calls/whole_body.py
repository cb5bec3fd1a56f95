"""The whole body of a request to Gradio, looked at before Gradio sees the request."""

from __future__ import annotations

from starlette.types import Message, Receive

from qwen_app.errors import RequestError, TooLarge

LIMIT_BYTES = 2 * 2**20


async def read_body(receive: Receive) -> bytes:
    """Raises TooLarge over LIMIT_BYTES, and RequestError where the client leaves before the end."""
    body, more = bytearray(), True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise RequestError("The request broke off. Try again.")
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > LIMIT_BYTES:
            raise TooLarge(f"The request is over the limit of {LIMIT_BYTES // 2**20} MiB. Send less text.")
    return bytes(body)


def replayed(body: bytes, receive: Receive) -> Receive:
    """``receive`` for an app that reads ``body`` once more."""
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Message:
        return waiting.pop() if waiting else await receive()

    return again
