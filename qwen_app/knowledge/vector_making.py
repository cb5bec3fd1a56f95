"""Vectors of passages from a server that may not take all of them: what it refuses is sent in smaller parts, and what
is made is kept at once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

import numpy as np

from qwen_app.knowledge.embeddings import AT_ONCE, Embedder, InputRefused, of_length_one

SHORTEST = 64  # characters: what is refused though it is no longer than this is refused for what it says
PROBE = "text"  # whoever refuses this refuses everything
REFUSED = b""  # kept in the place of a vector, so that it is not asked for again
Keep = Callable[[str, str, dict[int, bytes]], Awaitable[None]]  # owner, model, vectors by their passages' numbers


class VectorMaking:
    """Asks ``embedder``, and hands what it makes to ``keep``; ``resized`` is told when the server gives vectors of
    another size than before, for it has another model then."""

    def __init__(self, embedder: Embedder, keep: Keep, resized: Callable[[], None]) -> None:
        self._embedder = embedder
        self._keep = keep
        self._resized = resized
        self._size: int | None = None

    @property
    def model(self) -> str:
        return self._embedder.model

    @property
    def size(self) -> int | None:
        """The bytes of a vector as the server makes them now; None before its first."""
        return self._size

    async def make(self, owner: str, texts: Mapping[int, str]) -> None:
        """Make and keep the vectors of the owner's passages, whose ``texts`` come by their numbers.

        Raises UpstreamError where the server does not answer, or refuses whatever it is asked; what was made before
        stays.
        """
        passages = list(texts.items())
        for start in range(0, len(passages), AT_ONCE):
            await self._some(owner, dict(passages[start : start + AT_ONCE]))

    async def vector(self, text: str) -> np.ndarray | None:
        """The vector of ``text``; where the server takes no text so long, what lies between those of its halves. None
        where it takes no part of it. Raises UpstreamError as ``make`` does."""
        try:
            return (await self._asked([text]))[0]
        except InputRefused:
            return await self._between_halves(text)

    async def _some(self, owner: str, texts: Mapping[int, str]) -> None:
        try:
            vectors = await self._asked(list(texts.values()))
        except InputRefused:
            await self._apart(owner, list(texts.items()))
            return
        made = {number: vector.tobytes() for number, vector in zip(texts, vectors, strict=True)}
        await self._keep(owner, self.model, made)

    async def _apart(self, owner: str, refused: list[tuple[int, str]]) -> None:
        if len(refused) > 1:
            middle = len(refused) // 2
            await self._some(owner, dict(refused[:middle]))
            await self._some(owner, dict(refused[middle:]))
            return
        ((number, text),) = refused
        vector = await self._between_halves(text)
        await self._keep(owner, self.model, {number: vector.tobytes() if vector is not None else REFUSED})

    async def _between_halves(self, text: str) -> np.ndarray | None:
        if len(text) <= SHORTEST:
            await self._asked([PROBE])
            return None
        middle = len(text) // 2
        halves = [await self.vector(half) for half in (text[:middle], text[middle:])]
        taken = [half for half in halves if half is not None]
        return of_length_one(np.sum(taken, axis=0)) if taken else None

    async def _asked(self, texts: list[str]) -> list[np.ndarray]:
        vectors = await self._embedder.vectors(texts)
        before, self._size = self._size, vectors[0].nbytes
        if before != self._size:
            self._resized()
        return vectors
