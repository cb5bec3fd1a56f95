"""Tables of slides, as python-pptx opens them."""

from __future__ import annotations

import re

from qwen_app.documents.readers.slides import read_pptx
from tests.attacks.pumped import cost_grows
from tests.documents.files import part_of, slides, with_part

TABLE_SLIDE = "ppt/slides/slide2.xml"
FAST_S = 0.05  # to open the rest of the package takes about as long


def deck_xml(rows: int) -> str:
    """The slide whose table has its one row ``rows`` times."""
    slide = part_of(slides(), TABLE_SLIDE).decode()
    return re.sub(r"<a:tr .*</a:tr>", lambda row: row[0] * rows, slide, flags=re.DOTALL)


def read(slide: str) -> str:
    return read_pptx("deck.pptx", with_part(slides(), TABLE_SLIDE, slide.encode()))[1].text


def test_rows_of_a_table_have_their_own_cells() -> None:
    shorter = re.sub(r"(<a:tr [^>]*>)<a:tc>.*?</a:tc>", r"\1", deck_xml(1), flags=re.DOTALL)
    assert "| 2026 | 12 % |" in read(deck_xml(1))
    assert "| 12 % |" in read(shorter)
    assert "2026" not in read(shorter)


def test_a_long_table_costs_its_length() -> None:
    assert not cost_grows(read, lambda size: deck_xml(size // 2), FAST_S)
