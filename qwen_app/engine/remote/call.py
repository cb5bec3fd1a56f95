"""One streaming HTTP request to the server, from sending to closing."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator
from typing import Any

import openai

from qwen_app.engine.remote.errors import RemoteFailure, StreamBroken
from qwen_app.engine.remote.request import Body
from qwen_app.messages import GenerationRequest

Chunk = dict[str, Any]

# The same id under both names: vLLM's router hashes on X-Session-Id, and knows no conversations.
CONVERSATION_HEADERS = ("X-Conversation-Id", "X-Session-Id")


class Call:
    """Sent when made; ``aclose`` takes it back, wherever it stands, so that the server stops working on it."""

    def __init__(self, client: openai.AsyncOpenAI, body: Body, request: GenerationRequest) -> None:
        path = "/completions" if "prompt" in body else "/chat/completions"
        send = client.post(
            path,
            cast_to=object,
            body=body,
            options={"headers": _headers(request)},
            stream=True,
            stream_cls=openai.AsyncStream[object],
        )
        self._opening = asyncio.ensure_future(send)

    async def wait_for_headers(self, patience_s: float) -> None:
        """Returns once the server has answered or refused, after ``patience_s`` seconds at the latest."""
        await asyncio.wait({self._opening}, timeout=patience_s)
        if self._opening.done():
            self._opening.result()

    async def chunks(self) -> AsyncGenerator[Chunk, None]:
        """The answer's JSON objects. Raises what the client library raises."""
        async for chunk in await self._opening:
            if not isinstance(chunk, dict):
                raise StreamBroken(RemoteFailure(0, "It sent a chunk that is no JSON object.", "malformed"))
            yield chunk

    async def aclose(self) -> None:
        self._opening.cancel()
        (stream,) = await asyncio.gather(self._opening, return_exceptions=True)
        if isinstance(stream, openai.AsyncStream):
            await stream.close()


def _headers(request: GenerationRequest) -> dict[str, str]:
    """A router that hashes on the conversation finds the replica that still holds its prefix."""
    conversation = request.conversation_id or request.request_id
    if not (conversation.isascii() and conversation.isprintable()) or len(conversation) > 200:
        conversation = hashlib.sha256(conversation.encode(errors="replace")).hexdigest()
    return dict.fromkeys(CONVERSATION_HEADERS, conversation) | {"X-Request-Id": request.request_id}
