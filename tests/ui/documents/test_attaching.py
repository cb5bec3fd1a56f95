"""Documents in the composer: counted, cut to a range, handed over, and gone where the store has them no longer."""

from __future__ import annotations

import pytest

from qwen_app.documents.document import Document, Section
from qwen_app.documents.document_store import DocumentStore
from qwen_app.documents.refusal import DocumentRefused
from qwen_app.errors import RequestError
from qwen_app.service import Service
from qwen_app.testing.scripted_engine import ScriptedEngine
from qwen_app.ui.documents.attaching import (
    COUNTED_CHARACTERS,
    MOST_ATTACHED,
    Attached,
    Attaching,
    with_document,
    with_part,
)
from tests.engine.remote.engines import engine_on
from tests.engine.remote.fake_servers import Ollama

pytestmark = pytest.mark.anyio
PAGES = tuple(Section("page", number, number, f"page {number} " * 20) for number in range(1, 11))
BOOK = Document("book.pdf", "pdf", PAGES)


class Desk:
    def __init__(self) -> None:
        self.store = DocumentStore()
        self.attaching = Attaching(Service(ScriptedEngine(context_tokens=512)), self.store)

    def uploaded(self, document: Document = BOOK) -> str:
        return self.store.keep("ada", document).id


async def test_a_part_is_counted_and_handed_over_alone() -> None:
    desk = Desk()
    document_id = desk.uploaded()
    whole = await desk.attaching.attached(document_id, "ada")
    part = await desk.attaching.attached(document_id, "ada", "2-3, 9")
    assert (whole.page_count, whole.exact) == (10, True)
    assert 0 < part.tokens < whole.tokens / 2
    (sent,) = desk.attaching.hand_over(with_part((whole,), part), "ada")
    assert [section.first for section in sent.document.sections] == [2, 3, 9]
    assert sent.tokens == part.tokens
    assert (await desk.attaching.attached(document_id, "ada", "")).tokens == whole.tokens


@pytest.mark.parametrize("pages", ["11", "x", "3-2"])
async def test_what_takes_nothing_is_no_range(pages: str) -> None:
    desk = Desk()
    with pytest.raises(ValueError, match=pages):
        await desk.attaching.attached(desk.uploaded(), "ada", pages)


async def test_behind_a_server_without_a_tokenizer_the_count_is_an_estimate() -> None:
    store = DocumentStore()
    async with engine_on(Ollama()) as engine:
        attaching = Attaching(Service(engine), store)
        attached = await attaching.attached(store.keep("ada", BOOK).id, "ada")
    assert 300 < attached.tokens < 1_000


async def test_documents_of_others_and_lost_ones_are_not_there() -> None:
    desk = Desk()
    document_id = desk.uploaded()
    with pytest.raises(DocumentRefused, match="kept no longer"):
        await desk.attaching.attached(document_id, "eve")


async def test_there_is_an_end_to_what_one_message_takes() -> None:
    desk = Desk()
    documents: tuple[Attached, ...] = ()
    for _ in range(MOST_ATTACHED):
        documents = with_document(documents, await desk.attaching.attached(desk.uploaded(), "ada"))
    assert with_document(documents, documents[0]) == (*documents[1:], documents[0])
    with pytest.raises(RequestError, match="At most"):
        with_document(documents, await desk.attaching.attached(desk.uploaded(), "ada"))


async def test_a_part_of_a_document_that_was_taken_away_meanwhile_brings_it_not_back() -> None:
    desk = Desk()
    one, other = [await desk.attaching.attached(desk.uploaded(), "ada") for _ in range(2)]
    assert with_part((other,), one) == (other,)


async def test_what_no_context_holds_is_estimated() -> None:
    desk = Desk()
    long = Document("a.txt", "txt", (Section("lines", 1, 1, "word " * (COUNTED_CHARACTERS // 4)),))
    attached = await desk.attaching.attached(desk.uploaded(long), "ada")
    assert not attached.exact
    assert attached.tokens == pytest.approx(len(long.sections[0].text), rel=0.01)
