"""Cutting documents into parts: nothing is lost, bounds are held, and every piece keeps its section's mark."""

from __future__ import annotations

import asyncio
import dataclasses
from itertools import groupby, pairwise

from hypothesis import given
from hypothesis import strategies as st

from qwen_app.documents.document import Document, Section
from qwen_app.documents.marks import marked_text
from qwen_app.summaries.parts import FEWEST_TOKENS, DocumentPart, grouped, split
from qwen_app.summaries.values import place_of
from tests.documents.marks_read_back import read_marks

words = st.lists(st.sampled_from(["word ", "\n\n", "# Head\n", "句子。", "x" * 90, "[page 3]\n", ". "])).map("".join)
pages = st.lists(st.one_of(words, words.map(lambda text: text * 40), st.text(max_size=40)), max_size=6)


def document(name: str, texts: list[str]) -> Document:
    sections = tuple(Section("page", number, number, text) for number, text in enumerate(texts, 1))
    return Document(name, "pdf", sections)


async def in_bytes(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))


def split_now(documents: list[Document], limit: int) -> tuple[DocumentPart, ...]:
    return asyncio.run(split(documents, limit, in_bytes))


@given(st.lists(pages, max_size=3), st.integers(FEWEST_TOKENS, 2000))
def test_nothing_is_lost_and_bounds_are_held(books: list[list[str]], limit: int) -> None:
    documents = [document(f"{number}.pdf", texts) for number, texts in enumerate(books)]
    parts = split_now(documents, limit)
    for part in parts:
        size = len(marked_text(part.sections).encode("utf-8", "surrogatepass"))
        assert size <= part.tokens <= limit
        assert part.sections
    for one in documents:
        pieces = [section for part in parts if part.document == one.name for section in part.sections]
        together = tuple(
            Section("page", number, number, "".join(piece.text for piece in of_page))
            for number, of_page in groupby(pieces, key=lambda section: section.first)
        )
        assert together == one.sections


@given(pages.filter(bool), st.integers(FEWEST_TOKENS, 2000))
def test_the_marks_of_a_part_are_those_of_its_pages(texts: list[str], limit: int) -> None:
    parts = split_now([document("a.pdf", texts)], limit)
    for part in parts:
        assert read_marks(marked_text(part.sections)) == part.sections
    for before, after in pairwise(parts):  # a page that is cut stands in both
        assert after.sections[0].first - before.sections[-1].first in (0, 1)
    assert (parts[0].sections[0].first, parts[-1].sections[-1].last) == (1, len(texts))


def test_pages_stay_whole_where_they_fit() -> None:
    (first, second) = split_now([document("a.pdf", ["word " * 30, "word " * 30, "word " * 30])], 400)
    assert [section.first for section in first.sections] == [1, 2]
    assert place_of(first.sections[0], first.sections[-1]) == "[pages 1-2]"
    assert place_of(second.sections[0], second.sections[-1]) == "[page 3]"


def test_the_place_of_rows_names_their_sheet() -> None:
    first, last = Section("rows", 1, 100, "", "Sales"), Section("rows", 101, 180, "", "Sales")
    assert place_of(first, last) == "[rows 1-180: Sales]"
    assert place_of(first, dataclasses.replace(last, title="Costs")) == "[rows 1-100: Sales] – [rows 101-180: Costs]"


@given(st.lists(st.integers(1, 50), max_size=30), st.integers(1, 100))
def test_groups_hold_all_in_order_and_keep_to_the_bound(sizes: list[int], limit: int) -> None:
    groups = grouped(sizes, limit)
    assert [place for group in groups for place in group] == list(range(len(sizes)))
    assert all(len(group) == 1 or sum(sizes[place] for place in group) <= limit for group in groups)
