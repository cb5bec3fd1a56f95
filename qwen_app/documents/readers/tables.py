"""Rows of cells as Markdown tables, in parts that can be cited by their rows."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Sequence

from qwen_app.documents.document import Section
from qwen_app.text_files.delimited import Delimited, delimited, parted_by

ROWS_A_PART = 100
LIMIT_FIELD_CHARACTERS = 1 << 20
_BREAKS = re.compile(r"\r\n?|[\n\v\f\x85\u2028\u2029]")


def read_csv_rows(text: str) -> list[Section]:
    """A table of a file whose fields are parted by what it names, or by what its header uses most."""
    return _sections(delimited(text))


def read_tsv_rows(text: str) -> list[Section]:
    """A table of a file whose fields are parted by tabs."""
    return _sections(parted_by("\t", text))


def row_sections(rows: Iterable[Sequence[str]], title: str = "") -> list[Section]:
    """``rows``, the first of which names the columns, as a table for each ROWS_A_PART of them.

    Rows are numbered as a spreadsheet does, from 1; every part after the first repeats the columns' names. Parts,
    rows and columns in which nothing stands are left out: a cell at the far end of a sheet would make millions of them.
    """
    kept = [[cell.strip() for cell in row] for row in rows]
    while kept and not any(kept[-1]):
        kept.pop()
    starts = [start for start in range(0, len(kept), ROWS_A_PART) if any(map(any, kept[start : start + ROWS_A_PART]))]
    return [_part(kept, start, min(start + ROWS_A_PART, len(kept)), title) for start in starts]


def markdown_table(rows: Sequence[Sequence[str]]) -> str:
    """A table whose first row is its head; as wide as its widest row, less the columns in which nothing stands."""
    used = sorted({column for row in rows for column, cell in enumerate(row) if cell}) or [0]
    head, *others = (_row([row[column] if column < len(row) else "" for column in used]) for row in rows)
    return "\n".join([head, _row(["---"] * len(used)), *others])


def _sections(table: Delimited) -> list[Section]:
    csv.field_size_limit(LIMIT_FIELD_CHARACTERS)
    return row_sections(table.rows())


def _part(rows: list[list[str]], start: int, end: int, title: str) -> Section:
    shown = rows[start:end] if start == 0 else [rows[0], *rows[start:end]]
    return Section("rows", start + 1, end, markdown_table([row for row in shown if any(row)]), title)


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(_BREAKS.sub("<br>", cell.replace("|", "\\|")) for cell in cells) + " |"
