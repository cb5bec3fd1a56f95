"""Files are read in a child that can be lost: the server only ever sees a document or a sentence."""

from __future__ import annotations

import pytest

from qwen_app.documents.extraction import Extraction, extraction
from qwen_app.documents.refusal import LIMIT_FILE_BYTES, DocumentRefused
from qwen_app.sandbox.pool import Sandbox
from tests.documents import files

pytestmark = pytest.mark.anyio


async def test_a_hundred_pages_come_out_of_the_child() -> None:
    document = await extraction().read(
        "book.pdf", files.pdf([f"This is page {n}." for n in range(1, 101)]), user="anna"
    )
    assert document.pages == 100
    assert document.sections[41].text == "This is page 42."


async def test_a_refusal_comes_out_with_its_reason() -> None:
    with pytest.raises(DocumentRefused, match="protected by a password") as caught:
        await extraction().read("a.pdf", files.pdf(["x"], encrypted=True), user="anna")
    assert caught.value.reason == "encrypted"


async def test_two_hundred_megabytes_are_refused_at_once() -> None:
    with pytest.raises(DocumentRefused, match="over the limit of 32 MiB"):
        await extraction().read("huge.txt", bytes(200 * 2**20), user="anna")
    assert LIMIT_FILE_BYTES == 32 * 2**20


async def test_a_child_that_is_lost_is_a_sentence() -> None:
    pool = Sandbox(1, "tests.documents.faulty_tasks")
    try:
        with pytest.raises(DocumentRefused, match="too much time or memory") as caught:
            await Extraction(pool).read("a.txt", b"a", user="anna")
    finally:
        pool.close()
    assert caught.value.reason == "too_costly"
