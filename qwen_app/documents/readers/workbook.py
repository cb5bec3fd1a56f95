"""A workbook as far as the values of its cells need it, by openpyxl.

How cells look, filters, rules, names, charts and who wrote it are not read: programs write these in ways that openpyxl
refuses the whole file for, though spreadsheets show it.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from openpyxl.packaging.relationship import get_dependents, get_rels_path
from openpyxl.reader.excel import ExcelReader, _find_workbook_part
from openpyxl.styles.numbers import builtin_format_code, is_date_format, is_timedelta_format
from openpyxl.utils.datetime import CALENDAR_MAC_1904, CALENDAR_WINDOWS_1900
from openpyxl.worksheet._reader import ROW_TAG, WorkSheetParser
from openpyxl.xml.constants import ARC_STYLE, REL_NS, SHARED_STRINGS, SHEET_MAIN_NS
from openpyxl.xml.functions import fromstring, iterparse

_IN_SHEETS = {"": SHEET_MAIN_NS}
_LINK = f"{{{REL_NS}}}id"
_SHARED_TEXT = f"{{{SHEET_MAIN_NS}}}si"

_HIDDEN = " (hidden)"  # behind the name of a sheet that its program does not show


class Cell(NamedTuple):
    """``kind`` is openpyxl's ``data_type``."""

    value: Any = None
    kind: str = "n"


@dataclass(frozen=True)
class _Dates:
    """What makes dates and durations of numbers: the day that is counted from, and places in the list of formats."""

    epoch: datetime
    formats: set[int]
    durations: set[int]


@dataclass(frozen=True)
class Sheet:
    """A sheet at ``path`` in ``package``."""

    title: str
    path: str
    package: zipfile.ZipFile
    texts: Sequence[str]
    dates: _Dates
    data_only: bool

    def rows(self) -> Iterator[list[Cell]]:
        """Its rows, the missing ones between them without cells."""
        following = 1
        dates = {"date_formats": self.dates.formats, "timedelta_formats": self.dates.durations}
        with self.package.open(self.path) as source:
            for number, cells in _RowParser(source, self.texts, self.data_only, self.dates.epoch, **dates).parse():
                for _ in range(following, number):
                    yield []
                if number >= following:
                    yield _in_columns(cells)
                following = max(following, number + 1)


def _in_columns(cells: Sequence[dict[str, Any]]) -> list[Cell]:
    """Up to the column of the last one."""
    row = [Cell()] * (cells[-1]["column"] if cells else 0)
    for cell in cells:
        if cell["column"] <= len(row):
            row[cell["column"] - 1] = Cell(cell["value"], cell["data_type"])
    return row


class _RowParser(WorkSheetParser):  # type: ignore[misc] # openpyxl has no types
    """Reads the rows of a sheet."""

    col_counter: int

    def parse(self) -> Iterator[tuple[int, list[dict[str, Any]]]]:
        for _, element in iterparse(self.source):
            if element.tag == ROW_TAG:
                yield self.parse_row(element)
                element.clear()

    def parse_cell(self, element: Any) -> dict[str, Any]:
        """A value that is none of the kind it is said to be of stands as it was written; of a text that the file lacks,
        there is none."""
        before, inline = self.col_counter, element.find("is", _IN_SHEETS)
        if inline is not None:
            element.remove(inline)
        try:
            cell = dict(super().parse_cell(element))
        except (ValueError, IndexError):
            self.col_counter = before
            element.set("t", "inlineStr" if element.get("t") == "s" else "str")
            cell = dict(super().parse_cell(element))
        if inline is not None and cell["data_type"] == "inlineStr":
            cell |= {"data_type": "s", "value": _text(inline)}
        return cell


def sheets_of(data: bytes, *, data_only: bool = False) -> list[Sheet]:
    """The sheets of a workbook; their cells hold formulas, with ``data_only`` the values that were saved of them.
    Raises whatever openpyxl comes across in a damaged file."""
    reader = ExcelReader(io.BytesIO(data), read_only=True, keep_links=False)
    reader.read_manifest()
    part = _find_workbook_part(reader.package).PartName[1:]
    book = fromstring(reader.archive.read(part))
    links = get_dependents(reader.archive, get_rels_path(part)).to_dict()
    dates, texts = _dates(reader.archive, book), list(_shared_texts(reader))
    sheets = []
    for one in book.iterfind("sheets/sheet", _IN_SHEETS):
        link = links[one.get(_LINK)] if one.get(_LINK) else None  # old files with macros have some without
        if link and link.target in reader.valid_files and "chartsheet" not in link.Type:
            title = f"{one.get('name', '')}{'' if one.get('state', 'visible') == 'visible' else _HIDDEN}"
            sheets.append(Sheet(title, link.target, reader.archive, texts, dates, data_only))
    return sheets


def _shared_texts(reader: ExcelReader) -> Iterator[str]:
    """The texts that cells name by their numbers."""
    if part := reader.package.find(SHARED_STRINGS):
        with reader.archive.open(part.PartName[1:]) as source:
            for _, element in iterparse(source):
                if element.tag == _SHARED_TEXT:
                    yield _text(element)
                    element.clear()


def _text(item: Any) -> str:
    """What it says, without how it looks and how it is pronounced."""
    parts = [*item.iterfind("t", _IN_SHEETS), *item.iterfind("r/t", _IN_SHEETS)]
    return "".join(part.text or "" for part in parts).replace("x005F_", "")  # by which Excel keeps an _x0041_ as it is


def _dates(package: zipfile.ZipFile, book: Any) -> _Dates:
    counted_from_1904 = any(
        properties.get("date1904") in ("1", "true") for properties in book.iterfind("workbookPr", _IN_SHEETS)
    )
    codes = list(enumerate(_format_codes(package)))
    return _Dates(
        CALENDAR_MAC_1904 if counted_from_1904 else CALENDAR_WINDOWS_1900,
        {place for place, code in codes if is_date_format(code)},
        {place for place, code in codes if is_timedelta_format(code)},
    )


def _format_codes(package: zipfile.ZipFile) -> list[str | None]:
    """How numbers are written, of each format that cells name by its place."""
    if ARC_STYLE not in package.namelist():
        return []
    styles = fromstring(package.read(ARC_STYLE))
    own = {one.get("numFmtId"): one.get("formatCode") for one in styles.iterfind("numFmts/numFmt", _IN_SHEETS)}
    numbers = [one.get("numFmtId", "0") for one in styles.iterfind("cellXfs/xf", _IN_SHEETS)]
    return [own[number] if number in own else builtin_format_code(int(number)) for number in numbers]
