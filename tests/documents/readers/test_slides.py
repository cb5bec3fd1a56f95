"""Tables of slides, as python-pptx opens them."""

from __future__ import annotations

import re

from qwen_app.documents.readers.slides import read_pptx
from tests.attacks.pumped import cost_grows
from tests.documents.files import part_of, slides, with_part

TABLE_SLIDE = "ppt/slides/slide2.xml"
# A text box as PowerPoint writes it once it holds an equation: for itself, and as a picture for older programs.
EQUATION_BOX = """
<mc:AlternateContent xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006">
<mc:Choice xmlns:a14="http://schemas.microsoft.com/office/drawing/2010/main" Requires="a14"><p:sp>
<p:nvSpPr><p:cNvPr id="7" name="Box"/><p:cNvSpPr txBox="1"/><p:nvPr/></p:nvSpPr><p:spPr/><p:txBody><a:bodyPr/>
<a:p><a:r><a:t>Energy is </a:t></a:r><a14:m><m:oMathPara
 xmlns:m="http://schemas.openxmlformats.org/officeDocument/2006/math"><m:oMath><m:r><m:t>E=m</m:t></m:r><m:sSup><m:e><m:r>
<m:t>c</m:t></m:r></m:e><m:sup><m:r><m:t>2</m:t></m:r></m:sup></m:sSup></m:oMath></m:oMathPara></a14:m>
<a:r><a:t> here.</a:t></a:r><a:endParaRPr/></a:p></p:txBody></p:sp></mc:Choice>
<mc:Fallback><p:sp><p:nvSpPr><p:cNvPr id="7" name="Box"/><p:cNvSpPr/><p:nvPr/></p:nvSpPr><p:spPr/><p:txBody><a:bodyPr/>
<a:p><a:r><a:t>a picture</a:t></a:r></a:p></p:txBody></p:sp></mc:Fallback></mc:AlternateContent></p:spTree>"""
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


def test_a_text_box_with_an_equation_is_read() -> None:
    text = read(deck_xml(1).replace("</p:spTree>", EQUATION_BOX))
    assert "Energy is E=mc^2 here." in text
    assert "a picture" not in text


def test_a_hidden_slide_says_that_it_is_one() -> None:
    hidden = deck_xml(1).replace("<p:sld ", '<p:sld show="0" ', 1)
    titles = [one.title for one in read_pptx("deck.pptx", with_part(slides(), TABLE_SLIDE, hidden.encode()))]
    assert titles == ["Plans", "Figures (hidden)"]


def test_a_long_table_costs_its_length() -> None:
    assert not cost_grows(read, lambda size: deck_xml(size // 2), FAST_S)
