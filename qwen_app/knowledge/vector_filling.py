"""Vectors for passages that have none: of files that were kept before an embedding server was named, or while it did
not answer. They are made in the background, few at a time, and what is done is done for good."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

import numpy as np
from sqlalchemy.exc import SQLAlchemyError

from qwen_app.errors import UpstreamError
from qwen_app.knowledge.embeddings import AT_ONCE, Embedder

log = logging.getLogger(__name__)

AGAIN_S = 60.0  # after the server did not answer
Missing = Callable[[str, int], Awaitable[dict[int, str]]]  # model and how many: texts by their passages' numbers
Keep = Callable[[str, dict[int, bytes]], Awaitable[None]]


class VectorFilling:
    """Fills what ``missing`` tells of, by ``keep``; sleeps once there is nothing, until it is woken."""

    def __init__(self, embedder: Embedder, missing: Missing, keep: Keep, *, again_s: float = AGAIN_S) -> None:
        self._embedder = embedder
        self._missing = missing
        self._keep = keep
        self._again_s = again_s
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Something may be missing now."""
        self._woken.set()

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            self._woken.clear()
            try:
                while await self._some():
                    pass
                await self._woken.wait()
            except (UpstreamError, SQLAlchemyError) as refused:
                told = refused if isinstance(refused, UpstreamError) else type(refused).__name__
                log.warning("Vectors of files are made later: %s", told)
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._again_s):
                        await self._woken.wait()

    async def _some(self) -> bool:
        """Whether there was anything to do."""
        model = self._embedder.model
        texts = await self._missing(model, AT_ONCE)
        if texts:
            vectors = await self._embedder.vectors(list(texts.values()))
            await self._keep(model, kept_vectors(list(texts), vectors))
        return bool(texts)


def kept_vectors(numbers: Sequence[int], vectors: Sequence[np.ndarray]) -> dict[int, bytes]:
    """``vectors`` as the database keeps them, by their passages' numbers."""
    return {number: vector.tobytes() for number, vector in zip(numbers, vectors, strict=True)}
