"""XLSX files, by openpyxl: the values of every sheet as they were saved. No formula is ever worked out here."""

from __future__ import annotations

import datetime
import io
import re
import zipfile
from collections.abc import Iterator

from openpyxl.worksheet.formula import ArrayFormula, DataTableFormula

from qwen_app.documents.document import Note, Section
from qwen_app.documents.readers.tables import row_sections
from qwen_app.documents.readers.workbook import Sheet, sheets_of
from qwen_app.documents.refusal import LIMIT_CHARACTERS, DocumentRefused

_FORMULA = re.compile(rb"<(?:[^\s<>/:]{1,100}:)?f[\s/>]")


def read_xlsx(name: str, data: bytes) -> tuple[list[Section], list[Note]]:
    """Sections of rows, sheet after sheet. A formula saved without its value stands as it was typed, with a note."""
    values = sheets_of(data, data_only=True)
    typed = sheets_of(data) if _has_formulas(data) else [None] * len(values)
    sections: list[Section] = []
    unsaved = _Unsaved()
    room = LIMIT_CHARACTERS
    for sheet, formulas in zip(values, typed, strict=True):
        rows: list[list[str]] = []
        for row in _rows(sheet, formulas, unsaved):
            room -= sum(map(len, row)) + len(row)
            if room < 0:
                raise DocumentRefused("too_much_text", name=name, limit=f"{LIMIT_CHARACTERS:,}")
            rows.append(row)
        sections += row_sections(rows, sheet.title)
    notes = [Note("formulas_unsaved", {"cells": f"{unsaved.cells:,}"})] if unsaved.cells else []
    return sections, notes


class _Unsaved:
    """Counts the formulas whose values are not in the file."""

    cells = 0


def _rows(sheet: Sheet, typed: Sheet | None, unsaved: _Unsaved) -> Iterator[list[str]]:
    if typed is None:
        for row in sheet.rows():
            yield _without_end([_cell(cell.value) for cell in row])
        return
    for row, formulas in zip(sheet.rows(), typed.rows(), strict=False):
        cells = []
        for saved, formula in zip(row, formulas, strict=False):
            # a formula whose result is an empty text was saved as a text without characters
            lost = saved.value is None and saved.kind != "str" and formula.value is not None
            unsaved.cells += lost
            cells.append(_typed(formula.value) if lost else _cell(saved.value))
        yield _without_end(cells)


def _has_formulas(data: bytes) -> bool:
    with zipfile.ZipFile(io.BytesIO(data)) as package:
        sheets = [part for part in package.namelist() if part.startswith("xl/worksheets/")]
        return any(_FORMULA.search(package.read(part)) for part in sheets)


def _without_end(cells: list[str]) -> list[str]:
    while cells and not cells[-1]:
        cells.pop()
    return cells


def _typed(formula: object) -> str:
    """What stands in the line in which a formula is typed."""
    if isinstance(formula, ArrayFormula):
        return formula.text or ""
    if isinstance(formula, DataTableFormula):
        return f"=TABLE({','.join(filter(None, (formula.r1, formula.r2)))})"
    return _cell(formula)


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime.datetime) and value.time() == datetime.time():
        return value.date().isoformat()
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    return f"{value:.15g}" if isinstance(value, float) else str(value)
