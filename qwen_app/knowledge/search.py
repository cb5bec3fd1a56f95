"""The search: by the words of a question in SQLite's index (BM25), by its short terms, by vectors; one ranking."""

from __future__ import annotations

import math
import re
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from sqlalchemy import ColumnElement, Connection, Engine, RowMapping, Select, bindparam, func, or_, select, text
from sqlalchemy.exc import OperationalError

from qwen_app.errors import RequestError
from qwen_app.knowledge.file_store import stored
from qwen_app.knowledge.query_terms import QueryTerms, terms_of
from qwen_app.knowledge.tables import collections, files, passages, searched, vectors
from qwen_app.searched_text.compounds import LETTER, searchable

LIMIT_S = 2.0  # of a search, the database's work and ours: others wait for the one thread
LOOKED_AT_EVERY = 10_000  # of the database's own steps
EACH = 30  # passages that a way of searching brings to the ranking
LOOKED_THROUGH = 2_000  # passages with a short term that are counted through
LOOKED_THROUGH_EACH = 200  # more of each term, where these are not all
FUSION_K = 60  # Cormack, Clarke and Buettcher 2009: reciprocal rank fusion, and its constant
LEAST_SHARE = 0.2  # of a question's terms that some passage must have, or nothing was found
LEAST_LIKENESS = 0.35  # cosine, below which a vector finds nothing; models differ, this is low for all that were tried
_ENDINGS = r"(?:'?s|es|d|ed|ing|ly)?"  # of English words
_COMPOUND_FROM = 6  # letters: a word of so many may be the end of another, as German has them
TITLE_WEIGHT, TEXT_WEIGHT = 0.5, 1.0

_RANKED = text(
    f"""SELECT passages.number FROM words JOIN passages ON passages.number = words.rowid
    JOIN files ON files.id = passages.file_id JOIN collections ON collections.id = files.collection_id
    WHERE words MATCH :terms AND collections.owner = :owner AND collections.id = :collection
    ORDER BY bm25(words, {TITLE_WEIGHT}, {TEXT_WEIGHT}) LIMIT {EACH}"""
)
_HAS_INDEX = text("SELECT 1 FROM sqlite_master WHERE name = 'words'")


@dataclass(frozen=True, slots=True)
class FoundPassage:
    """A passage of a file, with where it stands in it."""

    number: int
    file: str
    place: str
    title: str
    text: str
    file_id: str = ""


class PassageSearch:
    """Searches the database behind ``engine``. All of it blocks."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def find(
        self,
        owner: str,
        collection_id: str,
        question: str,
        limit: int,
        vector: np.ndarray | None = None,
        model: str = "",
    ) -> list[FoundPassage]:
        """The passages that answer ``question`` best; none where nothing has enough of it.

        ``vector`` is the question's, by the embedding model called ``model``. Raises RequestError after LIMIT_S.
        """
        terms, own = terms_of(question), {"owner": owner, "collection": stored(collection_id)}
        with self._engine.connect() as connection, _limited(connection) as until:
            by_words = self._by_words(connection, terms, own, until)
            by_short = _by_terms(connection, terms.short, own, until)
            found = _passages(connection, {*by_words, *by_short}, own)
            shares = {number: _share(one, terms) for number, one in found.items()}
            telling = [number for number, share in shares.items() if share >= LEAST_SHARE]
            by_vector = _by_vector(connection, vector, model, own) if vector is not None else []
            if not telling and not by_vector:
                return []
            ranked = fused([by_words, by_short, by_vector], shares)[:limit]
            found |= _passages(connection, set(ranked) - set(found), own)
        return [found[number] for number in ranked if number in found]

    def _by_words(self, connection: Connection, terms: QueryTerms, own: dict[str, str], until: float) -> list[int]:
        if not terms.indexed:
            return []
        if connection.execute(_HAS_INDEX).first() is None:
            return _by_terms(connection, terms.indexed, own, until)
        return list(connection.execute(_RANKED, {"terms": terms.match, **own}).scalars())


@contextmanager
def _limited(connection: Connection) -> Iterator[float]:
    """What the database does within the block is broken off after LIMIT_S, at the monotonic time that it is given.
    Raises RequestError then."""
    driver, until = connection.connection.driver_connection, time.monotonic() + LIMIT_S
    if not isinstance(driver, sqlite3.Connection):
        raise TypeError("the knowledge base is in SQLite")
    driver.set_progress_handler(lambda: time.monotonic() > until, LOOKED_AT_EVERY)
    try:
        yield until
    except OperationalError as broken:
        if time.monotonic() <= until:
            raise
        raise _too_long() from broken
    finally:
        driver.set_progress_handler(None, 0)


def _too_long() -> RequestError:
    return RequestError("The search took too long. Ask in fewer words, or search a smaller collection.")


def fused(rankings: Sequence[Sequence[int]], shares: Mapping[int, float] = MappingProxyType({})) -> list[int]:
    """One ranking of several: an entry counts 1 / (60 + its rank) in each. ``shares`` decide between equals."""
    scores: dict[int, float] = {}
    for ranking in rankings:
        for rank, number in enumerate(ranking, 1):
            scores[number] = scores.get(number, 0.0) + 1 / (FUSION_K + rank)
    return sorted(scores, key=lambda number: (-scores[number], -shares.get(number, 0.0), number))


def _by_terms(connection: Connection, terms: Sequence[str], own: dict[str, str], until: float) -> list[int]:
    """Passages by the terms they hold, a rarer one counting more: for terms too short for the index, or without one."""
    if not terms:
        return []
    texts = _texts_with(connection, terms, LOOKED_THROUGH, own)
    if len(texts) == LOOKED_THROUGH:  # a frequent term may have left no room for a rare one
        for term in terms:
            texts |= _texts_with(connection, [term], LOOKED_THROUGH_EACH, own)
    held = {number: _words_of(one, terms, until) for number, one in texts.items()}
    many = Counter(term for words in held.values() for term in words)
    weights = {term: math.log(1 + len(texts) / number) for term, number in many.items()}
    scores = {number: sum(weights[term] for term in words) for number, words in held.items()}
    return sorted(filter(scores.__getitem__, scores), key=lambda number: (-scores[number], number))[:EACH]


def _words_of(text: str, terms: Sequence[str], until: float) -> list[str]:
    """Those of ``terms`` that are words of the folded ``text``. Raises RequestError after ``until``."""
    if time.monotonic() > until:
        raise _too_long()
    return [term for term in terms if _is_word_of(text, term)]


def _texts_with(connection: Connection, terms: Sequence[str], limit: int, own: dict[str, str]) -> dict[int, str]:
    """The folded texts of the first passages that hold any of ``terms``, by their numbers."""
    wanted = (
        select(searched.c.passage, searched.c.title, searched.c.text)
        .join(passages, passages.c.number == searched.c.passage)
        .join(files)
        .join(collections)
        .where(_owned(), or_(*(func.instr(searched.c.text, term) > 0 for term in terms)))
        .limit(limit)
    )
    return {number: f"{title}\n{text}" for number, title, text in connection.execute(wanted, own)}


def _by_vector(connection: Connection, vector: np.ndarray, model: str, own: dict[str, str]) -> list[int]:
    """Passages by the cosine of their vectors to the question's; those that are hardly alike are left out."""
    wanted = (
        select(vectors.c.passage, vectors.c.numbers)
        .join(passages, passages.c.number == vectors.c.passage)
        .join(files)
        .join(collections)
        .where(_owned(), vectors.c.model == model)
    )
    rows = [(passage, numbers) for passage, numbers in connection.execute(wanted, own) if len(numbers) == vector.nbytes]
    if not rows:
        return []
    matrix = np.frombuffer(b"".join(numbers for _, numbers in rows), dtype=np.float32).reshape(len(rows), -1)
    likeness = matrix @ vector
    best = np.argsort(-likeness)[:EACH]
    return [rows[index][0] for index in best if likeness[index] >= LEAST_LIKENESS]


def _owned() -> ColumnElement[bool]:
    return (collections.c.owner == bindparam("owner")) & (collections.c.id == bindparam("collection"))


def _of_owner() -> Select[tuple[int, str, str, str, str, str]]:
    columns = (passages.c.number, files.c.name.label("file"), passages.c.place, passages.c.title, passages.c.text)
    return (
        select(*columns, passages.c.file_id)
        .join(files, files.c.id == passages.c.file_id)
        .join(collections)
        .where(_owned())
    )


def _passages(connection: Connection, numbers: set[int], own: dict[str, str]) -> dict[int, FoundPassage]:
    rows = connection.execute(_of_owner().where(passages.c.number.in_(numbers)), own).mappings()
    return {row["number"]: _found(row) for row in rows}


def _found(row: RowMapping) -> FoundPassage:
    return FoundPassage(**row)


def _share(passage: FoundPassage, terms: QueryTerms) -> float:
    """Which part of the question's terms the passage has."""
    text = searchable(f"{passage.title}\n{passage.text}")
    return sum(_is_word_of(text, term) for term in terms.telling) / len(terms.telling) if terms.telling else 0.0


def _is_word_of(text: str, term: str) -> bool:
    """Whether ``term`` is a word of the folded ``text``, in whatever form; Chinese has no such bounds."""
    if not term.isascii():
        return term in text
    before = "" if term.isalpha() and len(term) >= _COMPOUND_FROM else f"(?<!{LETTER})"
    return term in text and re.search(f"{before}{re.escape(term)}{_ENDINGS}(?!{LETTER})", text) is not None
