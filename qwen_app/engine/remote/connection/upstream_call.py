"""One request to the other server, from sending to closing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable
from contextlib import suppress

import httpx2
import openai

from qwen_app.engine.remote.connection.chunk import Chunk, read_chunks

AFTER_DONE_S = 0.1  # for the end of a stream that has said [DONE]


class UpstreamCall:
    """One streaming HTTP request, from sending to closing.

    Sent when made; ``aclose`` takes it back, wherever it stands, so that the server stops working on it.
    """

    def __init__(self, stream: Awaitable[openai.AsyncStream[object]]) -> None:
        self._opening = asyncio.ensure_future(stream)

    async def wait_for_headers(self, patience_s: float) -> None:
        """Returns once the server has answered or refused, after ``patience_s`` seconds at the latest."""
        await asyncio.wait({self._opening}, timeout=patience_s)
        if self._opening.done():
            self._opening.result()

    async def chunks(self) -> AsyncGenerator[Chunk, None]:
        """The answer's chunks. Raises StreamBroken and what the client library raises."""
        response = (await self._opening).response
        content = response.aiter_bytes()
        async for chunk in read_chunks(content, response.headers.get("content-type", "")):
            yield chunk
        with suppress(TimeoutError, httpx2.HTTPError):  # a connection whose answer was read to its end is used again
            async with asyncio.timeout(AFTER_DONE_S):
                async for _ in content:
                    pass

    async def aclose(self) -> None:
        self._opening.cancel()
        (stream,) = await asyncio.gather(self._opening, return_exceptions=True)
        if isinstance(stream, openai.AsyncStream):
            await stream.close()
