"""A small table read from an uploaded CSV file, and the lookups a tool may do in it."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass

LIMIT_BYTES = 2 * 1024 * 1024
LIMIT_ROWS = 20_000
LIMIT_COLUMNS = 100
LIMIT_FOUND = 20
DELIMITERS = ",;\t|"


@dataclass(frozen=True, slots=True)
class CsvTable:
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def lookup(self, column: str, value: str, *, limit: int = LIMIT_FOUND) -> list[dict[str, str]]:
        """Rows whose ``column`` contains ``value``, upper and lower case alike. ValueError for an unknown column."""
        if column not in self.columns:
            raise ValueError(f"There is no column {column!r}. The columns are {', '.join(self.columns)}.")
        place, wanted = self.columns.index(column), value.casefold()
        found = [row for row in self.rows if wanted in row[place].casefold()]
        return [dict(zip(self.columns, row, strict=True)) for row in found[:limit]]


def read_csv(data: bytes) -> CsvTable:
    """A table from the bytes of a file in UTF-8 or GB18030, its first row the header.

    Raises ValueError with a sentence for people: too large, not text, no header, columns named twice.
    """
    if len(data) > LIMIT_BYTES:
        raise ValueError(f"The file is larger than {LIMIT_BYTES // 1024 // 1024} MB.")
    text = _decoded(data)
    header = text.partition("\n")[0]
    delimiter = max(DELIMITERS, key=header.count)
    try:
        lines = [
            line for line in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter) if any(map(str.strip, line))
        ]
    except csv.Error as error:
        raise ValueError(f"The file is not valid CSV: {error}.") from error
    return _table(lines)


def _decoded(data: bytes) -> str:
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return text
    raise ValueError("The file is not text in UTF-8 or GB18030.")


def _table(lines: list[list[str]]) -> CsvTable:
    if not lines:
        raise ValueError("The file is empty.")
    columns = tuple(name.strip() for name in lines[0])
    if len(columns) > LIMIT_COLUMNS or len(lines) - 1 > LIMIT_ROWS:
        raise ValueError(f"The file has more than {LIMIT_COLUMNS} columns or {LIMIT_ROWS} rows.")
    if not all(columns) or len(set(columns)) < len(columns):
        raise ValueError("Every column needs a name of its own in the first row.")
    width = len(columns)
    return CsvTable(columns, tuple(tuple((line + [""] * width)[:width]) for line in lines[1:]))
