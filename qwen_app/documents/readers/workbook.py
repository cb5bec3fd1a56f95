"""A workbook as far as the values of its cells need it, by openpyxl.

How cells look, filters, rules, names, charts and who wrote it are not read: programs write these in ways that openpyxl
refuses the whole file for, though spreadsheets show it.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from typing import Any

from openpyxl.packaging.relationship import get_dependents, get_rels_path
from openpyxl.reader.excel import ExcelReader, _find_workbook_part
from openpyxl.styles.numbers import builtin_format_code, is_date_format, is_timedelta_format
from openpyxl.utils.datetime import CALENDAR_MAC_1904
from openpyxl.workbook import Workbook
from openpyxl.worksheet._read_only import ReadOnlyWorksheet
from openpyxl.worksheet._reader import ROW_TAG, WorkSheetParser
from openpyxl.xml.constants import ARC_STYLE, REL_NS, SHARED_STRINGS, SHEET_MAIN_NS
from openpyxl.xml.functions import fromstring, iterparse

_IN_SHEETS = {"": SHEET_MAIN_NS}
_LINK = f"{{{REL_NS}}}id"
_SHARED_TEXT = f"{{{SHEET_MAIN_NS}}}si"


class Sheet(ReadOnlyWorksheet):  # type: ignore[misc] # openpyxl has no types
    """``iter_rows`` gives its rows, the missing ones between them without cells."""

    def _get_size(self) -> None:
        """Nothing: what the file says of its size may be wrong, or made up."""

    def _cells_by_row(
        self, min_col: int, min_row: int, max_col: int | None, max_row: int | None, values_only: bool = False
    ) -> Iterator[tuple[Any, ...]]:
        book, following = self.parent, min_row
        with self._get_source() as source:
            formats = {"date_formats": book._date_formats, "timedelta_formats": book._timedelta_formats}
            parser = _RowParser(source, self._shared_strings, book.data_only, book.epoch, **formats)
            for number, cells in parser.parse():
                for _ in range(following, number):
                    yield ()
                if number >= following:
                    yield self._get_row(cells, min_col, None, values_only)
                following = max(following, number + 1)


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


def opened_workbook(data: bytes, *, data_only: bool = False) -> Workbook:
    """The workbook; its ``worksheets`` hold formulas, with ``data_only`` the values that were saved of them. Raises
    whatever openpyxl comes across in a damaged file."""
    reader = ExcelReader(io.BytesIO(data), read_only=True, keep_links=False)
    reader.read_manifest()
    part = _find_workbook_part(reader.package).PartName[1:]
    tree = fromstring(reader.archive.read(part))
    book = _empty_book(reader.archive, tree, data_only=data_only)
    links = get_dependents(reader.archive, get_rels_path(part)).to_dict()
    texts = list(_shared_texts(reader))
    for one in tree.iterfind("sheets/sheet", _IN_SHEETS):
        link = links[one.get(_LINK)] if one.get(_LINK) else None  # old files with macros have some without
        if link and link.target in reader.valid_files and "chartsheet" not in link.Type:
            book._sheets.append(Sheet(book, one.get("name", ""), link.target, texts))
    return book


def _empty_book(package: zipfile.ZipFile, tree: Any, *, data_only: bool) -> Workbook:
    """One without sheets, which knows what makes dates of numbers."""
    book = Workbook()
    book._sheets = []
    book._archive, book._read_only, book._data_only = package, True, data_only
    for properties in tree.iterfind("workbookPr", _IN_SHEETS):
        if properties.get("date1904") in ("1", "true"):
            book.epoch = CALENDAR_MAC_1904
    _read_number_formats(package, book)
    return book


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


def _read_number_formats(package: zipfile.ZipFile, book: Workbook) -> None:
    """Note which formats of cells make dates and durations of numbers."""
    if ARC_STYLE not in package.namelist():
        return
    styles = fromstring(package.read(ARC_STYLE))
    own = {one.get("numFmtId"): one.get("formatCode") for one in styles.iterfind("numFmts/numFmt", _IN_SHEETS)}
    numbers = [one.get("numFmtId", "0") for one in styles.iterfind("cellXfs/xf", _IN_SHEETS)]
    codes = [own[number] if number in own else builtin_format_code(int(number)) for number in numbers]
    book._date_formats = {place for place, code in enumerate(codes) if is_date_format(code)}
    book._timedelta_formats = {place for place, code in enumerate(codes) if is_timedelta_format(code)}
