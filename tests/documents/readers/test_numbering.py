"""Headings, clauses and lists have the numbers that Word shows, by which other clauses name them."""

from __future__ import annotations

import pytest

from qwen_app.documents.readers.word import read_docx
from tests.documents.files import part_of, with_part, word

WORD = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
LIST = "<w:numPr><w:ilvl w:val='{}'/><w:numId w:val='{}'/></w:numPr>"


def level(number: int, form: str, text: str, more: str = "") -> str:
    shown = f'<w:start w:val="1"/><w:numFmt w:val="{form}"/>{more}<w:lvlText w:val="{text}"/>'
    return f'<w:lvl w:ilvl="{number}">{shown}</w:lvl>'


def paragraph(text: str, list_level: int = 0, list_id: str = "1", style: str = "Normal") -> str:
    listed = LIST.format(list_level, list_id) if list_id else ""
    return f'<w:p><w:pPr><w:pStyle w:val="{style}"/>{listed}</w:pPr><w:r><w:t>{text}</w:t></w:r></w:p>'


def lines_of(levels: str, *paragraphs: str, nums: str = "", styles: bytes = b"") -> list[str]:
    definitions = (
        f'<w:numbering {WORD}><w:abstractNum w:abstractNumId="0">{levels}</w:abstractNum>'
        f'<w:num w:numId="1"><w:abstractNumId w:val="0"/></w:num>{nums}</w:numbering>'
    )
    data = with_part(word(), "word/numbering.xml", definitions.encode())
    data = with_part(data, "word/styles.xml", styles or part_of(data, "word/styles.xml"))
    body = f"<w:document {WORD}><w:body>{''.join(paragraphs)}</w:body></w:document>"
    return "\n".join(one.text for one in read_docx(with_part(data, "word/document.xml", body.encode()))[0]).split("\n")


def test_clauses_are_counted_within_one_another() -> None:
    levels = level(0, "decimal", "%1.") + level(1, "decimal", "%1.%2") + level(2, "lowerLetter", "(%3)")
    wanted = [(0, "1."), (1, "1.1"), (2, "(a)"), (2, "(b)"), (1, "1.2"), (2, "(a)"), (0, "2."), (1, "2.1")]
    lines = lines_of(levels, *(paragraph("x", place) for place, _ in wanted))
    assert lines == [f"{number} x" for _, number in wanted]


@pytest.mark.parametrize(
    ("form", "number"),
    [
        ("upperRoman", "IV"),
        ("lowerLetter", "d"),
        ("decimalZero", "04"),
        ("chineseCounting", "四"),
        ("none", ""),
        ("ordinalText", "4"),
    ],
)
def test_numbers_are_written_in_their_form(form: str, number: str) -> None:
    lines = lines_of(level(0, form, "§%1"), *(paragraph("x") for _ in range(4)))
    assert lines[3] == f"§{number} x"


def test_chinese_articles_are_counted_on_beyond_ten() -> None:
    lines = lines_of(level(0, "chineseCountingThousand", "第%1条"), *(paragraph("x") for _ in range(21)))
    assert [lines[place] for place in (9, 10, 20)] == ["第十条 x", "第十一条 x", "第二十一条 x"]


def test_a_list_counts_on_unless_another_begins_anew() -> None:
    nums = '<w:num w:numId="2"><w:abstractNumId w:val="0"/></w:num><w:num w:numId="3"><w:abstractNumId w:val="0"/>'
    nums += '<w:lvlOverride w:ilvl="0"><w:startOverride w:val="7"/></w:lvlOverride></w:num>'
    lists = ("1", "2", "3", "3", "")
    lines = lines_of(level(0, "decimal", "%1)"), *(paragraph("x", list_id=one) for one in lists), nums=nums)
    assert lines == ["1) x", "2) x", "7) x", "8) x", "x"]


def test_headings_have_the_numbers_of_their_styles_and_signs_none() -> None:
    styles = part_of(word(), "word/styles.xml")
    begin = styles.index(b"<w:pPr>", styles.index(b'w:styleId="Heading1"')) + len(b"<w:pPr>")
    numbered = styles[:begin] + LIST.format(0, 1).encode() + styles[begin:]
    heading = paragraph("Liability", list_id="", style="Heading1")
    assert lines_of(level(0, "decimal", "%1"), heading, heading, styles=numbered) == ["# 1 Liability", "# 2 Liability"]
    assert lines_of(level(0, "bullet", "•"), paragraph("x"), paragraph("y", list_id="0")) == ["- x", "y"]


def test_in_legal_numbering_all_levels_are_in_digits() -> None:
    levels = level(0, "upperRoman", "%1.") + level(1, "decimal", "%1.%2", "<w:isLgl/>")
    assert lines_of(levels, paragraph("x"), paragraph("y", 1)) == ["I. x", "1.1 y"]


def test_paragraphs_in_tables_are_numbered_and_counted_with_the_others() -> None:
    row = "".join(f"<w:tc>{paragraph(text)}</w:tc>" for text in ("a", "", "b"))
    lines = lines_of(level(0, "decimal", "%1."), paragraph("x"), f"<w:tbl><w:tr>{row}</w:tr></w:tbl>", paragraph("y"))
    assert [lines[0], lines[2], lines[-1]] == ["1. x", "| 2. a | 3. | 4. b |", "5. y"]


@pytest.mark.parametrize("mark", ["del", "moveFrom"])
def test_paragraphs_that_are_gone_are_not_counted(mark: str) -> None:
    gone = paragraph("").replace("</w:pPr>", f"<w:rPr><w:{mark} w:id='1' w:author='x'/></w:rPr></w:pPr>")
    assert lines_of(level(0, "decimal", "%1."), paragraph("x"), gone, paragraph("y")) == ["1. x", "", "2. y"]


def test_articles_that_no_chapter_begins_anew_are_counted_on() -> None:
    levels = level(0, "decimal", "Chapter %1") + level(1, "decimal", "§%2", "<w:lvlRestart w:val='0'/>")
    wanted = [(0, "Chapter 1"), (1, "§1"), (1, "§2"), (0, "Chapter 2"), (1, "§3")]
    lines = lines_of(levels, *(paragraph("x", place) for place, _ in wanted))
    assert lines == [f"{number} x" for _, number in wanted]


def test_a_list_of_a_list_style_has_its_numbers() -> None:
    levels = "<w:styleLink w:val='Legal'/>" + level(0, "decimal", "(%1)")
    nums = '<w:abstractNum w:abstractNumId="1"><w:numStyleLink w:val="Legal"/></w:abstractNum>'
    nums += '<w:num w:numId="2"><w:abstractNumId w:val="1"/></w:num>'
    assert lines_of(levels, paragraph("x"), paragraph("y", list_id="2"), nums=nums) == ["(1) x", "(2) y"]
