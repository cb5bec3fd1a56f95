"""Collections and their files. Every call names the owner, and sees nothing of anybody else's: an id is no right.

A collection goes by its id: its name may change, and be another's, between two calls.

All of it blocks, and raises SQLAlchemyError where the database fails.
"""

from __future__ import annotations

import re
import secrets
import time
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from sqlalchemy import ColumnElement, Connection, Engine, delete, func, insert, select, update

from qwen_app.errors import NotFound, RequestError, ServerFull, TooManyRequests
from qwen_app.fair_share import has_room
from qwen_app.knowledge.passages import Passage
from qwen_app.knowledge.tables import collections, files, passages, vectors
from qwen_app.knowledge.vector_making import REFUSED
from qwen_app.saved_chats.held_rows import counted_with, held_rows

LIMIT_NAME_CHARACTERS = 80
LIMIT_COLLECTIONS = 50  # of an owner
LIMIT_FILES = 500  # in a collection
LIMIT_CHARACTERS = 50_000_000  # of an owner's files together
LIMIT_PASSAGES = 250_000  # of an owner, browsers without a login counted as one: each has its title beside its text
LIMIT_TITLE_CHARACTERS = 300
LIMIT_CHARACTERS_IN_ALL = 1_000_000_000  # of everybody's: about three gigabytes with their index
_NOT_STORED = re.compile("[\x00\ud800-\udfff]")  # no text holds these


@dataclass(frozen=True, slots=True)
class KeptFile:
    """A file of a collection. ``characters`` are those of its text; ``added_at`` in seconds since 1970."""

    id: str
    name: str
    characters: int
    added_at: float = 0.0


@dataclass(frozen=True, slots=True)
class Collection:
    """``created_at`` in seconds since 1970; ``files`` and the ``characters`` of their texts are counted."""

    id: str
    name: str
    created_at: float
    files: int
    characters: int


class FileStore:
    """Collections in the database behind ``engine``."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def described(self, owner: str) -> list[Collection]:
        """An owner's collections, the newest first."""
        wanted = (
            select(
                collections.c.id,
                collections.c.name,
                collections.c.created_at,
                func.count(files.c.id),
                func.coalesce(func.sum(files.c.characters), 0),
            )
            .outerjoin(files)
            .where(collections.c.owner == owner)
            .group_by(collections.c.id)
            .order_by(collections.c.created_at.desc(), collections.c.id)
        )
        with self.engine.connect() as connection:
            return [Collection(*row) for row in connection.execute(wanted)]

    def create(self, owner: str, name: str) -> str:
        """The id of the collection of this name, made where it is missing. Raises RequestError for a name that is none,
        TooManyRequests where there are as many as may be."""
        name = collection_name(name)
        with self.engine.begin() as connection:
            found = connection.execute(select(collections.c.id).where(_named(owner, name))).scalar_one_or_none()
            return str(found) if found is not None else _made(connection, owner, name)

    def files(self, owner: str, collection_id: str) -> list[KeptFile]:
        """The files of a collection, by name; none of one that is not there."""
        wanted = (
            select(files.c.id, files.c.name, files.c.characters, files.c.added_at)
            .join(collections)
            .where(_own(owner, collection_id))
            .order_by(files.c.name)
        )
        with self.engine.connect() as connection:
            return [KeptFile(*row) for row in connection.execute(wanted)]

    def check(self, owner: str, collection_id: str) -> None:
        """Raises NotFound where the owner has no such collection."""
        with self.engine.connect() as connection:
            _check_there(connection, owner, collection_id)

    def add(self, owner: str, collection_id: str, name: str, pieces: Sequence[Passage]) -> tuple[KeptFile, list[int]]:
        """Keep a file in the collection; one of the same name is replaced.

        Returns the file, and the numbers of its passages. Raises NotFound where the owner has no such collection,
        TooManyRequests where as much is kept as may be.
        """
        characters = sum(len(piece.text) for piece in pieces)
        kept = KeptFile(secrets.token_urlsafe(16), name, characters, time.time())
        with self.engine.begin() as connection:
            _check_there(connection, owner, collection_id)
            connection.execute(delete(files).where(files.c.collection_id == collection_id, files.c.name == name))
            _check_room(connection, owner, collection_id, characters, len(pieces))
            connection.execute(insert(files).values(collection_id=collection_id, **asdict(kept)))
            rows = [
                {
                    "file_id": kept.id,
                    "place": piece.place,
                    "title": _composed(piece.title)[:LIMIT_TITLE_CHARACTERS],
                    "text": _composed(piece.text),
                }
                for piece in pieces
            ]
            if rows:
                connection.execute(insert(passages), rows)
            added = select(passages.c.number).where(passages.c.file_id == kept.id).order_by(passages.c.number)
            return kept, list(connection.execute(added).scalars())

    def remove(self, owner: str, file_ids: Sequence[str]) -> int:
        """Forget files; how many there were."""
        wanted = files.c.id.in_([stored(one) for one in file_ids[:LIMIT_FILES]])
        own = select(collections.c.id).where(collections.c.owner == owner)
        with self.engine.begin() as connection:
            return connection.execute(delete(files).where(files.c.collection_id.in_(own), wanted)).rowcount

    def rename(self, owner: str, collection_id: str, name: str) -> bool:
        """Give a collection another name; whether there was one. Raises RequestError for a name that is none, or is
        another collection's."""
        name = collection_name(name)
        with self.engine.begin() as connection:
            taken = select(collections.c.id).where(_named(owner, name), collections.c.id != stored(collection_id))
            if connection.execute(taken).first() is not None:
                raise RequestError("You have a collection of this name already. Choose another.", param="name")
            renamed = update(collections).where(_own(owner, collection_id)).values(name=name)
            return connection.execute(renamed).rowcount > 0

    def drop(self, owner: str, collection_id: str, *, empty: bool = False) -> bool:
        """Forget a collection and all its files; with ``empty`` only where it has none."""
        wanted = _own(owner, collection_id)
        if empty:
            wanted &= ~select(files.c.id).where(files.c.collection_id == collections.c.id).exists()
        with self.engine.begin() as connection:
            return connection.execute(delete(collections).where(wanted)).rowcount > 0

    def keep_vectors(self, model: str, numbers: Mapping[int, bytes]) -> None:
        """Keep the vectors of passages, in the place of those they had. Those that are gone meanwhile are left out."""
        with self.engine.begin() as connection:
            connection.execute(delete(vectors).where(vectors.c.passage.in_(list(numbers))))
            there = set(
                connection.execute(select(passages.c.number).where(passages.c.number.in_(list(numbers)))).scalars()
            )
            rows = [{"passage": n, "model": model, "numbers": v} for n, v in numbers.items() if n in there]
            if rows:
                connection.execute(insert(vectors), rows)

    def without_vectors(self, model: str, size: int | None, limit: int) -> dict[int, str]:
        """The texts of passages that have no vector of ``model``, by their numbers, the oldest first. One that has not
        ``size`` bytes, where they are known, is of another model that was called so."""
        wanted = (
            select(passages.c.number, passages.c.title, passages.c.text)
            .where(_has_no_vector(model, size))
            .order_by(passages.c.number)
            .limit(limit)
        )
        with self.engine.connect() as connection:
            return {number: embedded_text(title, text) for number, title, text in connection.execute(wanted)}

    def count_without_vectors(self, model: str, size: int | None, owner: str, collection_id: str) -> int:
        """How many passages of a collection have no vector of ``model`` and ``size``."""
        wanted = (
            select(func.count())
            .select_from(passages)
            .join(files)
            .join(collections)
            .where(_own(owner, collection_id), _has_no_vector(model, size))
        )
        with self.engine.connect() as connection:
            return int(connection.execute(wanted).scalar_one())


def embedded_text(title: str, text: str) -> str:
    """What of a passage its vector is made from."""
    return f"{title}\n{text}"


def _has_no_vector(model: str, size: int | None) -> ColumnElement[bool]:
    own = (vectors.c.passage == passages.c.number) & (vectors.c.model == model)
    if size is not None:
        own &= func.length(vectors.c.numbers).in_((len(REFUSED), size))
    return ~select(vectors.c.passage).where(own).exists()


def collection_name(text: str) -> str:
    """The name of a collection as it is kept. Raises RequestError for none."""
    name = kept_name(text)
    if not name or len(name) > LIMIT_NAME_CHARACTERS:
        raise RequestError(f"A collection needs a name of 1 to {LIMIT_NAME_CHARACTERS} characters.", param="collection")
    return name


def kept_name(text: str) -> str:
    """The same, whether or not it is one."""
    return " ".join(_NOT_STORED.sub("", text).split())


def stored(text: str) -> str:
    """``text`` as the database can hold it."""
    return _NOT_STORED.sub("\ufffd", text)


def _own(owner: str, collection_id: str) -> ColumnElement[bool]:
    return (collections.c.owner == owner) & (collections.c.id == stored(collection_id))


def _named(owner: str, name: str) -> ColumnElement[bool]:
    return (collections.c.owner == owner) & (collections.c.name == name)


def _check_there(connection: Connection, owner: str, collection_id: str) -> None:
    if connection.execute(select(collections.c.id).where(_own(owner, collection_id))).first() is None:
        raise NotFound("This collection is not there, or not any more.", param="vector_store_id")


def _composed(text: str) -> str:
    """As most people type it, so that a question finds an accent that a file holds as a character of its own."""
    return unicodedata.normalize("NFC", stored(text))


def _made(connection: Connection, owner: str, name: str) -> str:
    """The id of a new collection."""
    own = select(func.count()).select_from(collections).where(collections.c.owner == owner)
    if connection.execute(own).scalar_one() >= LIMIT_COLLECTIONS:
        raise TooManyRequests(f"You have {LIMIT_COLLECTIONS} collections, as many as are kept. Delete one first.")
    made = secrets.token_urlsafe(16)
    connection.execute(insert(collections).values(id=made, owner=owner, name=name, created_at=time.time()))
    return made


def _check_room(connection: Connection, owner: str, collection_id: str, characters: int, pieces: int) -> None:
    beside = select(func.count()).select_from(files).where(files.c.collection_id == collection_id)
    if connection.execute(beside).scalar_one() >= LIMIT_FILES:
        raise TooManyRequests(f"The collection has {LIMIT_FILES} files, as many as are kept. Remove some first.")
    held = held_rows(connection, owner, collections.c.owner, files.c.characters, files.join(collections))
    if held.own + characters > LIMIT_CHARACTERS:
        raise TooManyRequests(
            f"Your files would hold more than {LIMIT_CHARACTERS:,} characters, as many as are kept. Remove some first."
        )
    cut = select(func.count()).select_from(passages).join(files).join(collections)
    if connection.execute(cut.where(counted_with(owner, collections.c.owner))).scalar_one() + pieces > LIMIT_PASSAGES:
        raise TooManyRequests(f"Your files would have more than {LIMIT_PASSAGES:,} parts. Remove some first.")
    if not has_room(characters, held, LIMIT_CHARACTERS_IN_ALL):
        raise ServerFull("The server keeps as many files as it can just now. Remove some of yours first.")
