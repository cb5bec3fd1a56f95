"""A small table read from the bytes of a CSV file, and the lookups a tool may do in it.

Rows are read one after the other when they are asked for: a table in memory is its text, never a string for each cell.
"""

from __future__ import annotations

import csv
import itertools
from collections.abc import Iterator
from dataclasses import dataclass

from qwen_app.text_files.delimited import Delimited, delimited
from qwen_app.text_files.encodings import UnknownEncoding, decode

LIMIT_BYTES = 2 * 1024 * 1024
LIMIT_ROWS = 20_000
LIMIT_COLUMNS = 100
LIMIT_COLUMN_CHARS = 200  # of a column's name
LIMIT_FOUND = 20
LIMIT_FOUND_CHARS = 20_000  # of all rows found but the last one
LIMIT_CELL_CHARS = 1_000  # of a cell that was found; the rest is left out


@dataclass(frozen=True, slots=True)
class CsvTable:
    """``source`` is the whole file, its first row the header."""

    columns: tuple[str, ...]
    row_count: int
    source: Delimited

    def rows(self) -> Iterator[list[str]]:
        """The rows below the header, each as wide as it is."""
        width = len(self.columns)
        for line in itertools.islice(_lines(self.source), 1, None):
            yield (line + [""] * (width - len(line)))[:width]

    def lookup(self, column: str, value: str) -> list[dict[str, str]]:
        """Rows whose ``column`` contains ``value``, upper and lower case alike. ValueError for an unknown column.

        At most LIMIT_FOUND of them, and none more once LIMIT_FOUND_CHARS are reached.
        """
        if column not in self.columns:
            raise ValueError(f"There is no column {column[:LIMIT_COLUMN_CHARS]!r}. See {', '.join(self.columns)}.")
        place, wanted = self.columns.index(column), value.casefold()
        found: list[dict[str, str]] = []
        chars = 0
        for row in self.rows():
            if len(found) >= LIMIT_FOUND or chars > LIMIT_FOUND_CHARS:
                break
            if wanted in row[place].casefold():
                cells = [cell[:LIMIT_CELL_CHARS] for cell in row]
                chars += sum(map(len, cells))
                found.append(dict(zip(self.columns, cells, strict=True)))
        return found


def read_csv(data: bytes) -> CsvTable:
    """A table from the bytes of a file in any usual encoding, its first row the header.

    Raises ValueError with a sentence for people: too large, not text, no header, columns named twice.
    """
    if len(data) > LIMIT_BYTES:
        raise ValueError(f"The file is larger than {LIMIT_BYTES // 1024 // 1024} MB.")
    try:
        source = delimited(decode(data).text)
    except UnknownEncoding as unknown:
        raise ValueError("The file is no text in an encoding that is known here. Save it as UTF-8.") from unknown
    try:
        lines = _lines(source)
        columns = _columns(next(lines, []))
        row_count = sum(1 for _ in itertools.islice(lines, LIMIT_ROWS + 1))
    except csv.Error as error:
        raise ValueError(f"The file is not valid CSV: {error}.") from error
    if row_count > LIMIT_ROWS:
        raise ValueError(f"The file has more than {LIMIT_ROWS:,} rows. Split it.")
    return CsvTable(columns, row_count, source)


def _lines(source: Delimited) -> Iterator[list[str]]:
    """All rows but blank ones. Raises csv.Error."""
    return (line for line in source.rows() if any(map(str.strip, line)))


def _columns(header: list[str]) -> tuple[str, ...]:
    if not header:
        raise ValueError("The file is empty.")
    if len(header) > LIMIT_COLUMNS:
        raise ValueError(f"The file has more than {LIMIT_COLUMNS} columns. Leave some out.")
    columns = tuple(name.strip() for name in header)
    if not all(columns) or len(set(columns)) < len(columns):
        raise ValueError("Every column needs a name of its own in the first row.")
    if max(map(len, columns)) > LIMIT_COLUMN_CHARS:
        raise ValueError(f"The name of a column is longer than {LIMIT_COLUMN_CHARS} characters. Shorten it.")
    return columns
