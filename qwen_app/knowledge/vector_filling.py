"""Vectors for passages that have none: of files that were kept before an embedding server was named, while it did not
answer, or while it had another model. They are made in the background, few at a time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress

from qwen_app.errors import AppError
from qwen_app.knowledge.embeddings import AT_ONCE
from qwen_app.knowledge.vector_making import VectorMaking

log = logging.getLogger(__name__)

NOBODY = ""  # whose turn it is where the app works for itself
AGAIN_S = 60.0  # after the server did not answer
Missing = Callable[[int], Awaitable[dict[int, str]]]  # how many at most: texts by their passages' numbers


class VectorFilling:
    """Has ``making`` make what ``missing`` tells of; sleeps once there is nothing, until it is woken."""

    def __init__(self, making: VectorMaking, missing: Missing, *, again_s: float = AGAIN_S) -> None:
        self._making = making
        self._missing = missing
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
                while texts := await self._missing(AT_ONCE):
                    await self._making.make(NOBODY, texts)
                await self._woken.wait()
            except AppError as refused:
                log.warning("Vectors of files are made later: %s", refused)
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._again_s):
                        await self._woken.wait()
