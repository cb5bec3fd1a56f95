"""The knowledge base for an event loop: the store and the search are called in a thread of their own."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from qwen_app.documents.document import Document
from qwen_app.errors import AppError, DiskFull, EngineUnavailable, UpstreamError
from qwen_app.http.turns import Turns
from qwen_app.knowledge.embeddings import Embedder
from qwen_app.knowledge.file_store import Collection, FileStore, KeptFile, embedded_text, kept_name
from qwen_app.knowledge.passages import Passage, passages_of
from qwen_app.knowledge.search import FoundPassage, PassageSearch
from qwen_app.knowledge.tables import collections, files, metadata, passages, vectors
from qwen_app.knowledge.vector_filling import NOBODY, VectorFilling
from qwen_app.knowledge.vector_making import VectorMaking
from qwen_app.saved_chats.database import Contents, Tell, memory, migrated, open_file
from qwen_app.saved_chats.integrity import cannot_write

log = logging.getLogger(__name__)

FILE = "knowledge.sqlite3"
MIGRATIONS = Path(__file__).with_name("migrations")
CONTENTS = Contents(
    "Files of the Files tab", FILE, MIGRATIONS, metadata, (collections, files, passages, vectors), "words"
)
PASSAGES = 6  # that an answer is made from

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class SearchResult:
    """``passages``, the best first. ``by_words_only``: vectors were wanted, and could not be had."""

    passages: tuple[FoundPassage, ...]
    by_words_only: bool = False


@dataclass(frozen=True, slots=True)
class AddedFile:
    """A file that is kept; ``whole``: with vectors of all of it, where they are wanted."""

    file: KeptFile
    whole: bool


@dataclass(frozen=True, slots=True)
class _Opened:
    """The store and the search of an open database."""

    engine: Engine
    store: FileStore
    search: PassageSearch


class KnowledgeBase:
    """Collections of files in the database that ``open_database`` opens once it is needed, or as soon as it runs where
    it ``is_there``; with ``embedder``, found by what they mean too."""

    def __init__(
        self, open_database: Callable[[], Engine], embedder: Embedder | None = None, *, is_there: bool = False
    ) -> None:
        self._open_database = open_database
        self._is_there = is_there
        self._embedder = embedder
        self._opened: _Opened | None = None  # touched in the thread alone
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="knowledge")
        self._turns = Turns()
        self._making = VectorMaking(embedder, self._keep, self._wake) if embedder is not None else None
        self._filling = VectorFilling(self._making, self._missing) if self._making is not None else None

    @property
    def embedder(self) -> Embedder | None:
        """What makes vectors; None where no embedding server is named."""
        return self._embedder

    async def described(self, owner: str) -> list[Collection]:
        """The owner's collections, with what is in them."""
        return await self._run(owner, lambda opened: opened.store.described(owner))

    async def named(self, owner: str, name: str) -> Collection | None:
        """The owner's collection that is called so just now."""
        wanted = kept_name(name)
        return next((one for one in await self.described(owner) if one.name == wanted), None)

    async def create(self, owner: str, name: str) -> str:
        """The id of the collection of this name, made where it is missing. Raises AppError."""
        return await self._run(owner, lambda opened: opened.store.create(owner, name))

    async def waiting_vectors(self, owner: str, collection_id: str) -> int:
        """How many passages of the collection have no vector yet; 0 where none are wanted."""
        making = self._making
        if making is None:
            return 0
        return await self._run(
            owner,
            lambda opened: opened.store.count_without_vectors(making.model, making.size, owner, collection_id),
        )

    async def files(self, owner: str, collection_id: str) -> list[KeptFile]:
        return await self._run(owner, lambda opened: opened.store.files(owner, collection_id))

    async def add(self, owner: str, collection_id: str, document: Document) -> AddedFile:
        """Keep ``document`` in the collection, in the place of one of its name. Raises AppError, NotFound where the
        collection is not there, or goes away before all is done."""
        pieces, name = await asyncio.to_thread(passages_of, document), document.name
        file, numbers = await self._run(owner, lambda opened: opened.store.add(owner, collection_id, name, pieces))
        whole = await self._with_vectors(owner, numbers, pieces)
        if self._making is not None:  # they took their time
            await self._run(owner, lambda opened: opened.store.check(owner, collection_id))
        return AddedFile(file, whole)

    async def _with_vectors(self, owner: str, numbers: Sequence[int], pieces: Sequence[Passage]) -> bool:
        """Whether the vectors of the passages are kept now, where any are wanted."""
        if self._making is None:
            return True
        texts = [embedded_text(piece.title, piece.text) for piece in pieces]
        try:
            await self._making.make(owner, dict(zip(numbers, texts, strict=True)))
        except AppError as refused:  # of the embedding server, or of the database: the file itself is kept
            log.warning("Vectors of a file are made later: %s", refused)
            self._wake()
            return False
        return True

    async def remove(self, owner: str, file_ids: Sequence[str]) -> int:
        """Forget files of the owner's; how many there were."""
        return await self._run(owner, lambda opened: opened.store.remove(owner, file_ids))

    async def rename(self, owner: str, collection_id: str, name: str) -> bool:
        """Give the collection another name; whether there was one. Raises AppError."""
        return await self._run(owner, lambda opened: opened.store.rename(owner, collection_id, name))

    async def drop(self, owner: str, collection_id: str, *, empty: bool = False) -> bool:
        """Forget the collection, with ``empty`` only where it has no files; whether it is gone now."""
        return await self._run(owner, lambda opened: opened.store.drop(owner, collection_id, empty=empty))

    async def find(self, owner: str, collection_id: str, question: str, limit: int = PASSAGES) -> SearchResult:
        """The passages that answer ``question`` best; none where nothing in the collection does."""
        model, vector = self._making.model if self._making is not None else "", await self._vector(question)
        found = await self._run(
            owner, lambda opened: opened.search.find(owner, collection_id, question, limit, vector=vector, model=model)
        )
        return SearchResult(tuple(found), by_words_only=self._making is not None and vector is None)

    async def _vector(self, question: str) -> np.ndarray | None:
        if self._making is None:
            return None
        try:
            return await self._making.vector(question)
        except UpstreamError as refused:
            log.warning("Searched by words alone: %s", refused)
            return None

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncGenerator[None, None]:
        """Missing vectors are made meanwhile; the database is closed at the end of the block.

        One that is there is opened aside at once: if it is damaged the owner is to know, and nobody's first question
        waits for the look at it.
        """
        if self._is_there:
            self._thread.submit(self._open)
        filling = asyncio.create_task(self._filling.run()) if self._filling is not None else None
        try:
            yield
        finally:
            if filling is not None:
                filling.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await filling
            await asyncio.get_running_loop().run_in_executor(self._thread, self._close)
            self._thread.shutdown(wait=False)

    def _wake(self) -> None:
        if self._filling is not None:
            self._filling.wake()

    async def _missing(self, limit: int) -> dict[int, str]:
        making = self._making
        if making is None:
            return {}
        return await self._run(NOBODY, lambda opened: opened.store.without_vectors(making.model, making.size, limit))

    async def _keep(self, owner: str, model: str, numbers: dict[int, bytes]) -> None:
        await self._run(owner, lambda opened: opened.store.keep_vectors(model, numbers))

    async def _run(self, owner: str, call: Callable[[_Opened], T]) -> T:
        """What ``call`` returns, in the thread, when it is the owner's turn. Raises DiskFull or EngineUnavailable where
        the database fails."""
        async with self._turns.of(owner):
            try:
                return await asyncio.get_running_loop().run_in_executor(self._thread, lambda: call(self._open()))
            except SQLAlchemyError as error:
                log.warning("the database of files failed", exc_info=error)
                if cannot_write(error):
                    raise DiskFull("Files") from error
                raise EngineUnavailable("The files cannot be reached just now. Try again in a minute.") from error

    def _open(self) -> _Opened:
        if self._opened is None:
            engine = self._open_database()
            self._opened = _Opened(engine, FileStore(engine), PassageSearch(engine))
        return self._opened

    def _close(self) -> None:
        if self._opened is not None:
            self._opened.engine.dispose()


def open_knowledge_base(data_dir: Path, embedder: Embedder | None = None, tell: Tell = log.warning) -> KnowledgeBase:
    """The knowledge base in ``data_dir``: always SQLite, whatever holds the chats. Where it cannot be used, ``tell`` is
    told how it goes on."""
    is_there = os.path.lexists(data_dir / FILE)
    return KnowledgeBase(partial(open_file, data_dir, CONTENTS, tell), embedder, is_there=is_there)


def knowledge_in_memory(embedder: Embedder | None = None) -> KnowledgeBase:
    """One that ends with the process."""
    return KnowledgeBase(_in_memory, embedder)


def _in_memory() -> Engine:
    return migrated(memory(), MIGRATIONS)
