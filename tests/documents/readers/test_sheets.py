"""A sheet shows the values that were saved, and formulas only where none were."""

from __future__ import annotations

import datetime
import re
from io import BytesIO

import openpyxl
import pytest
from openpyxl.worksheet.formula import ArrayFormula, DataTableFormula
from openpyxl.xml.constants import SHARED_STRINGS, SHEET_MAIN_NS

from qwen_app.documents.document import Document
from qwen_app.documents.readers.tasks import read_document
from tests.documents import files

BOOK = "xl/workbook.xml"
SHEET = "xl/worksheets/sheet1.xml"
TYPES = "[Content_Types].xml"


def sheet_of(*rows: list[object]) -> bytes:
    book = openpyxl.Workbook()
    for row in rows:
        book.worksheets[0].append(row)
    saved = BytesIO()
    book.save(saved)
    return saved.getvalue()


def read(data: bytes) -> Document:
    return read_document("a.xlsx", data)


def test_a_formula_whose_saved_result_is_an_empty_text_shows_nothing() -> None:
    made = sheet_of(["name", "flag"], ["x", "=IF(A2>1,1,2)"])
    saved = b'<c r="B2" t="str"><f>IF(A2="","y","")</f><v></v></c>'
    part = re.sub(rb'<c r="B2".*?</c>', saved, files.part_of(made, SHEET))
    document = read(files.with_part(made, SHEET, part))
    assert document.sections[0].text.endswith("\n| x |  |")
    assert document.notes == ()


@pytest.mark.parametrize(
    ("formula", "shown"),
    [
        (ArrayFormula("A2", "=SUM(B1:B2*C1:C2)"), "=SUM(B1:B2*C1:C2)"),
        (DataTableFormula("A2", dt2D=True, r1="B1", r2="C1"), "=TABLE(B1,C1)"),
    ],
)
def test_unsaved_formulas_of_many_cells_show_what_was_typed(formula: object, shown: str) -> None:
    document = read(sheet_of(["sum"], [formula]))
    assert document.sections[0].text.endswith(f"\n| {shown} |")
    assert document.notes[0].values == {"cells": "1"}


def test_formulas_are_found_whatever_prefix_the_file_gives_its_names() -> None:
    made = sheet_of(["sum"], ["=1+1"])
    prefixed = re.sub(rb"<(/?)(?=\w)", rb"<\1x:", files.part_of(made, SHEET)).replace(b"xmlns=", b"xmlns:x=")
    assert read(files.with_part(made, SHEET, prefixed)).sections[0].text.endswith("\n| =1+1 |")


def test_a_cell_of_several_lines_stays_in_its_row() -> None:
    assert read(sheet_of(["a", "b"], ["one\rtwo", "x"])).sections[0].text.endswith("\n| one<br>two | x |")


@pytest.mark.parametrize(
    ("part", "old", "new"),
    [
        ("xl/styles.xml", rb"<fill>.*?</fill>", b"<fill/>"),
        ("xl/styles.xml", rb'<family val="2" ?/>', b'<family val="34"/>'),
        ("docProps/core.xml", rb"(<dcterms:created[^>]*>)[^<]*", rb"\1 29.11.2024"),
        (BOOK, b"<workbookView [^>]*", b'<workbookView tabRatio="1.5"/'),
        (BOOK, b"<workbookPr ?/>", b'<workbookPr showObjects="some"/>'),
        (BOOK, b"<definedNames ?/>", b"<definedNames><definedName>A1</definedName></definedNames>"),
        (BOOK, b"<calcPr [^>]*", b'<calcPr calcMode="never"/'),
        (SHEET, b"</sheetData>", b'</sheetData><autoFilter ref="#REF!"/>'),
        (SHEET, b"</sheetData>", b'</sheetData><dataValidations><dataValidation sqref="#REF!"/></dataValidations>'),
    ],
    ids=["fill", "font", "properties", "view", "drawings", "name", "calculation", "filter", "validation"],
)
def test_only_what_makes_values_of_cells_can_refuse_a_sheet(part: str, old: bytes, new: bytes) -> None:
    made = sheet_of(["day", "sum"], [datetime.date(2024, 2, 29), 7])
    changed = re.sub(old, new, files.part_of(made, part))
    assert changed != files.part_of(made, part)
    assert read(files.with_part(made, part, changed)).sections[0].text.endswith("\n| 2024-02-29 | 7 |")


@pytest.mark.parametrize(
    ("cell", "shown"),
    [
        ('t="b"><v>TRUE</v>', "| TRUE | 5 |"),
        ("><v>#N/A</v>", "| #N/A | 5 |"),
        ('t="d"><v>29.2.2024</v>', "| 29.2.2024 | 5 |"),
        ('t="s"><v>7</v>', "| 5 |"),
    ],
    ids=["boolean", "number", "date", "text"],
)
@pytest.mark.parametrize("place", ['r="A1" ', ""], ids=["placed", "in-order"])
def test_a_value_that_is_none_of_its_kind_costs_no_other_cell(cell: str, shown: str, place: str) -> None:
    made = sheet_of(["", 5])
    part = re.sub(rb'<c r="A1".*?(?=<c r="B1")', b"", files.part_of(made, SHEET))
    part = part.replace(b'<c r="B1"', f"<c {place}{cell}</c><c".encode())
    assert read(files.with_part(made, SHEET, part)).sections[0].text.startswith(shown)


@pytest.mark.parametrize("look", ['<sz val="x"/>', '<color rgb="red"/>', '<family val="34"/>'])
def test_how_parts_of_a_text_look_costs_none_of_it(look: str) -> None:
    text = f"<r><rPr>{look}</rPr><t>half</t></r><r><t> past</t></r>".encode()
    made = sheet_of(["shared", "inline"])
    cells = b'<c t="s"><v>0</v></c><c t="inlineStr"><is>' + text + b"</is></c>"
    sheet = re.sub(rb'<c r="A1".*(?=</row>)', cells, files.part_of(made, SHEET))
    texts = f'<sst xmlns="{SHEET_MAIN_NS}"><si>'.encode() + text + b"</si></sst>"
    kind = f'<Override PartName="/xl/sharedStrings.xml" ContentType="{SHARED_STRINGS}"/></Types>'.encode()
    kinds = files.part_of(made, TYPES).replace(b"</Types>", kind)
    for name, content in ((SHEET, sheet), ("xl/sharedStrings.xml", texts), (TYPES, kinds)):
        made = files.with_part(made, name, content)
    assert read(made).sections[0].text.startswith("| half past | half past |")


def test_a_book_with_an_empty_chart_sheet_is_read() -> None:
    book = openpyxl.Workbook()
    book.worksheets[0].append(["x"])
    book.create_chartsheet("Chart")
    saved = BytesIO()
    book.save(saved)
    assert [section.title for section in read(saved.getvalue()).sections] == ["Sheet"]


def test_numbers_are_dates_and_durations_by_formats_of_the_files_own() -> None:
    book = openpyxl.Workbook()
    sheet = book.worksheets[0]
    sheet.append(["day", "hours", "share", "unknown"])
    sheet.append([45351, 1.25, 0.5, 7])
    for cell, form in zip(sheet[2], ('dd" of "mmmm', "[h]:mm:ss", '0.0" days"', "0"), strict=True):
        cell.number_format = form
    saved = BytesIO()
    book.save(saved)
    assert read(saved.getvalue()).sections[0].text.endswith("\n| 2024-02-29 | 1 day, 6:00:00 | 0.5 | 7 |")


@pytest.mark.parametrize("state", ["hidden", "veryHidden"])
def test_a_hidden_sheet_says_that_it_is_one(state: str) -> None:
    book = openpyxl.Workbook()
    for sheet in (book.worksheets[0], book.create_sheet("Margins")):
        sheet.append(["x"])
    book.worksheets[1].sheet_state = state
    saved = BytesIO()
    book.save(saved)
    assert [section.title for section in read(saved.getvalue()).sections] == ["Sheet", "Margins (hidden)"]
