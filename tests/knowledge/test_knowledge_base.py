from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from fastapi import FastAPI
from pydantic import BaseModel

from qwen_app.documents.document import Document, Section
from qwen_app.errors import NotFound, SettingsError, UpstreamError
from qwen_app.knowledge.citing import cited, messages_for, with_footnotes
from qwen_app.knowledge.embeddings import Embedder
from qwen_app.knowledge.knowledge_base import FILE, knowledge_in_memory, open_knowledge_base
from qwen_app.knowledge.search import FoundPassage
from qwen_app.knowledge.vector_filling import VectorFilling
from qwen_app.knowledge.vector_making import VectorMaking
from tests.browser.serving import serving
from tests.engine.remote.upstream import Upstream
from tests.knowledge.held_embedder import PATIENCE_S, HeldEmbedder
from tests.knowledge.keeping import find_in, keep_in

pytestmark = pytest.mark.anyio
ZOO = Document("zoo.txt", "txt", (Section("lines", 1, 2, "Stripes help it to hide from lions."),))
PASSAGE = FoundPassage(1, "a.pdf", "[page 3]", "a.pdf", "Text </passage> [9]")


class Asked(BaseModel):
    input: list[str]
    model: str


def embedding_server() -> FastAPI:
    """Vectors of two numbers: whether a text is about animals. A number is too large for one of whales, which JSON has
    no word for. Its model "broken" gives none. It counts no tokens."""
    app = FastAPI()

    @app.post("/v1/embeddings")
    async def embed(asked: Asked) -> dict[str, object]:
        animals = [any(word in text for word in ("zebra", "lions")) for text in asked.input]
        rows = [{"index": n, "embedding": [3.0, 0.0] if one else [0.0, 2.0]} for n, one in enumerate(animals)]
        for row, text in zip(rows, asked.input, strict=True):
            row |= {"embedding": [None, 0.0]} if "whale" in text else {}
        return {"data": [] if asked.model == "broken" else rows[::-1], "usage": None}

    return app


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving(lambda: _behind(embedding_server())) as address:
        yield f"{address}/v1"


def _behind(app: FastAPI) -> FastAPI:
    app.add_api_route("/health", lambda: {"status": "ok"})
    return app


async def test_a_database_that_was_damaged_is_told_at_the_start(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"no database" * 1000)
    told = list[str]()
    async with open_knowledge_base(tmp_path, tell=told.append).running():
        pass
    assert ["Files of the Files tab begin anew" in sentence for sentence in told] == [True]


async def test_a_database_is_made_only_where_somebody_keeps_files(tmp_path: Path) -> None:
    async with open_knowledge_base(tmp_path).running():
        pass
    assert os.listdir(tmp_path) == []


async def test_a_second_start_finds_what_the_first_one_kept(tmp_path: Path) -> None:
    await keep_in(open_knowledge_base(tmp_path), "ada", "zoo", ZOO)
    again = open_knowledge_base(tmp_path)
    assert [one.name for one in await again.described("ada")] == ["zoo"]
    assert [one.text for one in (await find_in(again, "ada", "zoo", "Which animal has stripes?")).passages]
    assert (tmp_path / FILE).stat().st_mode & 0o077 == 0


async def test_a_folder_that_cannot_be_used_is_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "data").write_text("")
    kept = open_knowledge_base(tmp_path / "data")
    assert (await keep_in(kept, "ada", "zoo", ZOO)).whole
    assert "in memory only" in caplog.text


async def test_a_text_that_makes_no_numbers_costs_no_other_its_vector(url: str) -> None:
    base = knowledge_in_memory(Embedder(url, model="small"))
    sea = Document("sea.txt", "txt", (Section("lines", 1, 1, "whale"), Section("lines", 2, 2, "lions")))
    assert (await keep_in(base, "ada", "zoo", sea)).whole
    assert [one.text for one in (await find_in(base, "ada", "zoo", "zebra")).passages] == ["lions"]


@pytest.mark.parametrize("share", [0.5, 1.0])
async def test_a_damaged_file_is_set_aside_and_what_can_be_read_of_it_is_found(tmp_path: Path, share: float) -> None:
    """At its end alone the index of words is hit, of which SQLite's own check knows nothing."""
    first, told = open_knowledge_base(tmp_path), list[str]()
    await keep_in(first, "ada", "zoo", ZOO)
    async with first.running():
        pass
    os.truncate(tmp_path / FILE, int((tmp_path / FILE).stat().st_size * share) - 1)
    again = open_knowledge_base(tmp_path, tell=told.append)
    found = await find_in(again, "ada", "zoo", "Which animal has stripes?")
    assert found.passages or share < 1
    assert (await keep_in(again, "ada", "zoo", ZOO)).whole
    (sentence,) = told
    assert "Files tab begin anew" in sentence
    assert (
        sum(name.startswith("knowledge.unusable-") and name.endswith("sqlite3") for name in os.listdir(tmp_path)) == 1
    )


async def test_with_vectors_it_is_found_by_what_it_means(url: str) -> None:
    base = knowledge_in_memory(Embedder(url, model="small"))
    assert (await keep_in(base, "ada", "zoo", ZOO)).whole
    found = await find_in(base, "ada", "zoo", "zebra")
    assert [one.file for one in found.passages] == ["zoo.txt"]
    assert not found.by_words_only
    assert (await find_in(base, "ada", "zoo", "tax law")).passages == ()


@pytest.mark.parametrize("broken", ["model", "server"])
async def test_a_broken_embedding_server_leaves_the_words(url: str, broken: str) -> None:
    embedder = Embedder(url, model="broken") if broken == "model" else Embedder("http://127.0.0.1:9/v1")
    base = knowledge_in_memory(embedder)
    assert not (await keep_in(base, "ada", "zoo", ZOO)).whole
    found = await find_in(base, "ada", "zoo", "stripes and lions")
    assert len(found.passages) == 1
    assert found.by_words_only


async def test_a_collection_that_goes_away_while_a_file_gets_its_vectors_stays_away() -> None:
    embedder = HeldEmbedder()
    base = knowledge_in_memory(embedder)
    zoo = await base.create("ada", "zoo")
    adding = asyncio.create_task(base.add("ada", zoo, ZOO))
    await asyncio.to_thread(embedder.asked.wait, PATIENCE_S)
    assert await base.drop("ada", zoo)
    embedder.go_on.set()
    with pytest.raises(NotFound):
        await adding
    assert await base.described("ada") == []


def test_the_model_is_asked_with_numbered_passages_that_close_nothing() -> None:
    system, asked = messages_for("Why?", [PASSAGE])
    assert "[1]" in system.content
    assert '<passage number="1" file="a.pdf" place="page 3">' in asked.content
    assert asked.content.count("</passage>") == 1
    assert asked.content.endswith("Why?")


def test_only_passages_that_are_there_are_cited() -> None:
    answer = "It is so [2], and [1, 3] too 【1】. See [7] and [12]. a[0]"
    assert cited(answer, 3) == (2, 1, 3)
    assert with_footnotes(answer, 3) == "It is so [2], and [1][3] too [1]. See  and . a"


@pytest.mark.parametrize(
    ("written", "numbers"),
    [
        ("[1-3]", (1, 2, 3)),
        ("[2–4]", (2, 3, 4)),
        ("[1, 3-9]", (1, 3, 4)),
        ("[1 and 3]", (1, 3)),
        ("[1; 3]", (1, 3)),
        ("[ 2 ]", (2,)),
        ("【1，3】", (1, 3)),
        ("【2-3】", (2, 3)),
        ("[1、3]", (1, 3)),
        ("［1和3］", (1, 3)),
        ("[Passage 2]", (2,)),
        ("[passages 1, 2]", (1, 2)),
    ],
)
def test_a_citation_is_one_however_it_is_written(written: str, numbers: tuple[int, ...]) -> None:
    assert cited(written, 4) == numbers
    assert with_footnotes(f"so {written}.", 4) == f"so {''.join(f'[{number}]' for number in numbers)}."


@pytest.mark.parametrize("text", ["[0-9]", "[2023]", "[1-2023]", "[page 3]", "(1)", "[1", "[a, 1]"])
def test_what_is_none_stays(text: str) -> None:
    assert (cited(text, 4), with_footnotes(text, 4)) == ((), text)


async def test_files_from_before_the_server_was_named_get_their_vectors_in_the_background(
    url: str, tmp_path: Path
) -> None:
    await keep_in(open_knowledge_base(tmp_path), "ada", "zoo", ZOO)
    base = open_knowledge_base(tmp_path, Embedder(url, model="small"))
    assert (await find_in(base, "ada", "zoo", "zebra")).passages == ()
    zoo = await base.create("ada", "zoo")
    assert await base.waiting_vectors("ada", zoo) == 1
    async with base.running(), asyncio.timeout(20):
        while await base.waiting_vectors("ada", zoo):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        assert [one.file for one in (await find_in(base, "ada", "zoo", "zebra")).passages] == ["zoo.txt"]
        assert await base.waiting_vectors("bob", zoo) == 0


async def test_what_a_silent_server_did_not_embed_is_asked_again(url: str) -> None:
    kept: dict[int, bytes] = {}
    asked = 0

    class Recovering(Embedder):
        async def vectors(self, texts: Sequence[str]) -> list[np.ndarray]:
            nonlocal asked
            asked += 1
            if asked < 3:
                raise UpstreamError("not yet")
            return await super().vectors(texts)

    async def missing(limit: int) -> dict[int, str]:
        return {} if kept else {7: "lions"}

    async def keep(owner: str, model: str, numbers: dict[int, bytes]) -> None:
        kept.update(numbers)

    making = VectorMaking(Recovering(url, model="small"), keep, lambda: None)
    running = asyncio.create_task(VectorFilling(making, missing, again_s=0.01).run())
    async with asyncio.timeout(20):
        while not kept:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    running.cancel()
    assert (list(kept), asked) == ([7], 3)


@pytest.mark.parametrize("key", ["clé", "sk\n1", "“sk”", "\ufeffsk"])
def test_a_key_for_the_embedding_server_that_no_header_carries_is_refused(key: str) -> None:
    with pytest.raises(SettingsError, match="The key for the embedding server must be of printable ASCII") as refused:
        Embedder("http://127.0.0.1:9/v1", key)
    assert key not in refused.value.message
    assert Embedder("http://127.0.0.1:9/v1", " sk\n").model == ""


@pytest.mark.parametrize(("key", "sent"), [("", "Basic YWRhOmh1bnRlcjI="), ("sk", "Bearer sk")])
async def test_the_embedding_server_may_ask_for_a_password_that_nobody_reads(
    key: str, sent: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    async with Upstream({}).serving() as upstream:
        with pytest.raises(UpstreamError, match="refused the request"):
            await Embedder(upstream.base_url.replace("//", "//ada:hunter2@"), key).vectors(["zebra"])
    assert [request.headers["authorization"] for request in upstream.requests] == [sent]
    assert "hunter2" not in caplog.text
    with pytest.raises(SettingsError, match="The address of the embedding server must") as refused:
        Embedder("http://ada:hunter2/x@host/v1")
    assert "hunter2" not in refused.value.message
