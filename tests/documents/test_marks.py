"""Marks: nothing of a document is lost, nothing in it passes for a mark, and a range takes what it touches."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwen_app.documents.document import Document, Section
from qwen_app.documents.marks import mark, marked_text
from qwen_app.documents.page_range import only, read_range
from tests.documents.marks_read_back import read_marks

TITLES = st.from_regex(r"[\w .:()-]{0,40}", fullmatch=True).map(lambda title: " ".join(title.split()))
PIECES = st.sampled_from(["[page 1]", " [rows 1-2: x]", "[lines 3", "\n", "]", " ", "\n\n", "\r", "\u2028", "text"])
TEXTS = st.one_of(st.text(), st.lists(PIECES).map("".join))
NUMBERS = st.integers(1, 10**6)


@st.composite
def sections(draw: st.DrawFn) -> Section:
    kind = draw(st.sampled_from(["page", "slide", "rows", "lines", "section"]))
    first = draw(NUMBERS)
    return Section(kind, first, first + draw(st.integers(0, 99)), draw(TEXTS), draw(TITLES))


@given(st.lists(sections(), min_size=1))
def test_what_is_marked_is_read_back_whole(parts: list[Section]) -> None:
    assert read_marks(marked_text(parts)) == tuple(parts)


@given(TEXTS)
def test_no_text_passes_for_a_mark(text: str) -> None:
    assert len(read_marks(marked_text([Section("page", 1, 1, text)]))) == 1


def test_a_mark_names_numbers_and_title() -> None:
    assert mark(Section("rows", 101, 200, "", "Sales [old]")) == "[rows 101-200: Sales [old)]"


@given(st.lists(st.tuples(NUMBERS, NUMBERS).map(sorted), min_size=1, max_size=5))
def test_a_written_range_is_read(parts: list[list[int]]) -> None:
    assert read_range(", ".join(f"{first} - {last}" for first, last in parts)) == tuple(map(tuple, parts))


@pytest.mark.parametrize("text", ["x", "3-1", "0", "1-2-3", "-4", "1,,x", "99999999999"])
def test_what_is_no_range_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^[-0-9x,]+$"):
        read_range(text)


def test_a_range_takes_the_sections_it_touches() -> None:
    book = Document("b", "xlsx", tuple(Section("rows", n, n + 99, "") for n in (1, 101, 201)))
    assert [section.first for section in only(book, read_range("150-201")).sections] == [101, 201]
    assert only(book, read_range("")) == book
