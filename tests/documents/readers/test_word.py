"""A Word file's tables keep their columns, its forms what was filled in, and what was moved stands where it went."""

from __future__ import annotations

import pytest

from qwen_app.documents.readers.tasks import read_document
from tests.documents import files

BODY = b"<w:body>"
HEAD = "<w:tr>" + "".join(f"<w:tc><w:p><w:r><w:t>{name}</w:t></w:r></w:p></w:tc>" for name in "ABC") + "</w:tr>"


def text_of(content: str) -> str:
    """The text of a file that begins with ``content``."""
    main = files.part_of(files.word(paged=False), "word/document.xml")
    changed = main.replace(BODY, BODY + content.encode(), 1)
    return (
        read_document("a.docx", files.with_part(files.word(paged=False), "word/document.xml", changed)).sections[0].text
    )


def control(content: str) -> str:
    return f"<w:sdt><w:sdtPr/><w:sdtContent>{content}</w:sdtContent></w:sdt>"


def paragraph(text: str) -> str:
    return f"<w:p><w:r><w:t>{text}</w:t></w:r></w:p>"


def cell(text: str, properties: str = "") -> str:
    return f"<w:tc><w:tcPr>{properties}</w:tcPr>{paragraph(text)}</w:tc>"


def table(*rows: str) -> str:
    grid = "<w:gridCol/>" * 3
    return f"<w:tbl><w:tblPr/><w:tblGrid>{grid}</w:tblGrid>{HEAD}{''.join(rows)}</w:tbl>"


@pytest.mark.parametrize(
    "row",
    [
        f"<w:tr>{cell('Name')}{control(cell('Jane'))}{cell('c')}</w:tr>",
        f"<w:tr>{cell('Name')}<w:tc>{control(paragraph('Jane'))}</w:tc>{cell('c')}</w:tr>",
        control(f"<w:tr>{cell('Name')}{control(control(cell('Jane')))}{cell('c')}</w:tr>"),
    ],
)
def test_what_was_filled_in_in_a_form_within_a_table_is_read(row: str) -> None:
    assert "| Name | Jane | c |" in text_of(table(row))


def test_a_form_within_a_table_within_a_form_is_read_once() -> None:
    row = f"<w:tr><w:tc>{control(paragraph('Jane'))}</w:tc></w:tr>"
    assert text_of(control(table(row))).count("Jane") == 1


def test_moved_text_stands_where_it_went_alone() -> None:
    run = "<w:r><w:t>moved</w:t></w:r>"
    text = text_of(
        f'<w:p><w:moveFrom w:id="1" w:author="a">{run}</w:moveFrom></w:p>'
        f'{paragraph("between")}<w:p><w:moveTo w:id="2" w:author="a">{run}</w:moveTo></w:p>'
    )
    assert text.split() == ["between", "moved"]


def test_cells_stand_in_their_columns_whatever_is_merged() -> None:
    wide, tall = '<w:gridSpan w:val="2"/>', '<w:vMerge w:val="restart"/>'
    text = text_of(
        table(
            f"<w:tr>{cell('Total', wide)}{cell('5')}</w:tr>",
            f'<w:tr><w:trPr><w:gridBefore w:val="2"/></w:trPr>{cell("tall", tall)}</w:tr>',
            f"<w:tr>{cell('x')}{cell('y')}{cell('', '<w:vMerge/>')}</w:tr>",
        )
    )
    assert "| Total |  | 5 |\n|  |  | tall |\n| x | y | tall |" in text


def test_a_span_that_no_table_has_costs_no_more_than_the_widest() -> None:
    endless = '<w:gridSpan w:val="999999999"/>'
    assert "| Total |  |  | 5 |" in text_of(table(f"<w:tr>{cell('Total', endless)}{cell('5')}</w:tr>"))
