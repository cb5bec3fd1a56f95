"""A sheet shows the values that were saved, and formulas only where none were."""

from __future__ import annotations

import re
from io import BytesIO

import openpyxl
import pytest
from openpyxl.worksheet.formula import ArrayFormula, DataTableFormula

from qwen_app.documents.document import Document
from qwen_app.documents.readers.tasks import read_document
from tests.documents import files

SHEET = "xl/worksheets/sheet1.xml"


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
