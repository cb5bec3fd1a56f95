"""Cutting: nothing is lost, bounds are held, and cuts lie where a text ends by itself."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from qwen_app.documents.cutting import cut
from qwen_app.documents.document import Document, Section
from qwen_app.knowledge.passages import LIMIT_CHARACTERS, passages_of

texts = st.lists(st.sampled_from(["word ", "\n", "\n\n", "# Head\n", "句子。", "x" * 50, ". ", " ", "，"])).map("".join)


@given(st.one_of(st.text(), texts), st.integers(1, 200))
def test_pieces_join_to_the_text_and_keep_to_the_bound(text: str, limit: int) -> None:
    pieces = list(cut(text, limit))
    assert "".join(pieces) == text
    assert all(0 < len(piece) <= limit for piece in pieces)


@given(st.lists(texts.filter(str.strip), min_size=1, max_size=4))
def test_passages_of_a_document_lose_no_word_and_cross_no_page(pages: list[str]) -> None:
    sections = tuple(Section("page", number, number, page * 40) for number, page in enumerate(pages, 1))
    found = passages_of(Document("a.pdf", "pdf", sections))
    for section in sections:
        own = [one.text for one in found if one.place == f"[page {section.first}]"]
        assert "".join("".join(own).split()) == "".join(section.text.split())
    assert all(len(one.text) <= LIMIT_CHARACTERS and one.title.startswith("a.pdf") for one in found)


def test_cuts_lie_before_headings_then_between_paragraphs() -> None:
    part = "word " * 60
    _, second = cut(f"{part}\n\n{part}\n# Two\n{part}{part}", 700)
    assert second.startswith("# Two")
    first = next(cut(f"{part}{part}\n\n{part}{part}", 700))
    assert first.endswith("\n\n")


def test_a_passage_is_titled_by_the_heading_above_it() -> None:
    text = "# Fees\n" + "word " * 400
    titles = [one.title for one in passages_of(Document("a.md", "md", (Section("section", 1, 1, text),)))]
    assert titles == ["a.md · Fees"] * len(titles)
    assert len(titles) > 1
