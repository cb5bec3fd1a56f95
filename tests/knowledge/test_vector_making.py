"""Vectors from servers that do not take every text, or are given another model."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwen_app.documents.document import Document, Section
from qwen_app.errors import EngineUnavailable, UpstreamError
from qwen_app.knowledge.embeddings import Embedder, InputRefused
from qwen_app.knowledge.knowledge_base import FILE, knowledge_in_memory, open_knowledge_base
from qwen_app.knowledge.vector_filling import VectorFilling
from qwen_app.knowledge.vector_making import REFUSED, SHORTEST, VectorMaking
from tests.knowledge.keeping import find_in, keep_in

pytestmark = pytest.mark.anyio
PATIENCE_S = 20.0


class PickyEmbedder(Embedder):
    """Whether a text is about animals, in as many numbers as ``size`` says. Refuses requests with a text that is longer
    than ``longest`` characters or holds ``word``; with ``away`` it does not answer."""

    def __init__(self, longest: int = 10_000, word: str = "\0", size: int = 2) -> None:
        super().__init__("http://127.0.0.1:9/v1", model="picky")
        self.longest, self.word, self.size, self.away = longest, word, size, False

    async def vectors(self, texts: Sequence[str]) -> list[np.ndarray]:
        if self.away:
            raise UpstreamError("away")
        if any(len(text) > self.longest or self.word in text for text in texts):
            raise InputRefused("too long")
        rows = np.zeros((len(texts), self.size), dtype=np.float32)
        for row, text in zip(rows, texts, strict=True):
            row[0 if any(word in text for word in ("zebra", "lions")) else 1] = 1.0
        return list(rows)


def of_lines(name: str, *lines: str) -> Document:
    return Document(name, "txt", tuple(Section("lines", n, n, line) for n, line in enumerate(lines, 1)))


async def made(embedder: Embedder, texts: dict[int, str]) -> dict[int, bytes]:
    """What is kept of the vectors of ``texts``."""
    kept: dict[int, bytes] = {}

    async def keep(owner: str, model: str, numbers: dict[int, bytes]) -> None:
        kept.update(numbers)

    await VectorMaking(embedder, keep, lambda: None).make("ada", texts)
    return kept


async def test_a_passage_that_is_too_long_for_the_model_is_embedded_in_parts_and_costs_no_other_its_vector() -> None:
    base = knowledge_in_memory(PickyEmbedder(longest=100))
    texts = [f"Line {number} is about lions." for number in range(70)]
    texts[30] = "word " * 100 + "lions"
    assert (await keep_in(base, "ada", "zoo", of_lines("zoo.txt", *texts))).whole
    assert await base.waiting_vectors("ada", await base.create("ada", "zoo")) == 0
    assert len((await find_in(base, "ada", "zoo", "zebra " * 100)).passages) == 6  # a question may be too long as well


async def test_a_vector_in_parts_lies_between_those_of_the_parts() -> None:
    kept = await made(PickyEmbedder(longest=SHORTEST + 1), {1: "lions " * 20 + "w" * 120})
    assert np.frombuffer(kept[1], dtype=np.float32) == pytest.approx([0.5**0.5, 0.5**0.5])


async def test_what_a_model_takes_no_part_of_is_not_asked_for_again() -> None:
    base = knowledge_in_memory(PickyEmbedder(word="no"))
    assert (await keep_in(base, "ada", "zoo", of_lines("a.txt", "no", "Stripes."))).whole
    assert await base.waiting_vectors("ada", await base.create("ada", "zoo")) == 0
    assert [one.text for one in (await find_in(base, "ada", "zoo", "tax")).passages] == ["Stripes."]


async def test_a_server_that_refuses_everything_or_is_away_marks_nothing() -> None:
    embedder = PickyEmbedder(longest=0)
    base = knowledge_in_memory(embedder)
    zoo = await base.create("ada", "zoo")
    for embedder.away in (False, True):
        assert not (await base.add("ada", zoo, of_lines("a.txt", "One.", "Two."))).whole
        assert await base.waiting_vectors("ada", zoo) == 2


async def test_what_was_made_before_a_server_went_away_stays() -> None:
    kept: dict[int, bytes] = {}

    class Going(PickyEmbedder):
        async def vectors(self, texts: Sequence[str]) -> list[np.ndarray]:
            self.away = bool(kept)
            return await super().vectors(texts)

    async def keep(owner: str, model: str, numbers: dict[int, bytes]) -> None:
        kept.update(numbers)

    with pytest.raises(UpstreamError, match="away"):
        await VectorMaking(Going(), keep, lambda: None).make("ada", dict.fromkeys(range(100), "lions"))
    assert len(kept) == 64


@given(st.lists(st.text("no x", min_size=1, max_size=300), min_size=1, max_size=8), st.integers(SHORTEST, 300))
def test_every_passage_gets_its_vector_or_is_marked(texts: list[str], longest: int) -> None:
    kept = asyncio.run(made(PickyEmbedder(longest=longest, word="no"), dict(enumerate(texts))))
    assert sorted(kept) == list(range(len(texts)))
    for number, text in enumerate(texts):
        assert kept[number] != REFUSED or "no" in text


async def test_another_model_of_the_same_name_has_its_vectors_made_anew(tmp_path: Path) -> None:
    zoo = of_lines("zoo.txt", "Stripes help it to hide from lions.")
    assert (await keep_in(open_knowledge_base(tmp_path, PickyEmbedder(size=2)), "ada", "zoo", zoo)).whole
    base = open_knowledge_base(tmp_path, PickyEmbedder(size=3))
    async with base.running(), asyncio.timeout(PATIENCE_S):
        while not (await find_in(base, "ada", "zoo", "zebra")).passages:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        assert await base.waiting_vectors("ada", await base.create("ada", "zoo")) == 0


async def test_a_file_whose_vectors_cannot_be_kept_just_now_is_kept_with_its_words(tmp_path: Path) -> None:
    base = open_knowledge_base(tmp_path, PickyEmbedder())
    work = await base.create("ada", "work")
    with closing(sqlite3.connect(tmp_path / FILE)) as database, database:
        database.execute("CREATE TRIGGER full BEFORE INSERT ON vectors BEGIN SELECT RAISE(ABORT, 'full'); END")
    added = await base.add("ada", work, of_lines("zoo.txt", "Stripes of zebras."))
    assert (added.file.name, added.whole) == ("zoo.txt", False)
    assert [one.name for one in await base.files("ada", work)] == ["zoo.txt"]


async def test_a_database_that_fails_for_a_moment_does_not_end_the_filling() -> None:
    asked = asyncio.Event()
    failures = iter([EngineUnavailable("The files cannot be reached just now."), None, None])

    async def missing(limit: int) -> dict[int, str]:
        failure = next(failures)
        if failure is not None:
            raise failure
        asked.set()
        return {}

    async def keep(owner: str, model: str, numbers: dict[int, bytes]) -> None: ...

    making = VectorMaking(PickyEmbedder(), keep, lambda: None)
    running = asyncio.create_task(VectorFilling(making, missing, again_s=0.01).run())
    async with asyncio.timeout(PATIENCE_S):
        await asked.wait()
    running.cancel()
