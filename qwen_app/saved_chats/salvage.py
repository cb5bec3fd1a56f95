"""A database file that is damaged: what can still be read of it, and where it is put."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from sqlalchemy import Boolean, Connection, Float, Integer, LargeBinary, String, Table, delete, func, insert, select

SIDES = ("", "-wal", "-shm")  # SQLite looks for its log of changes beside the file, by these names
_ROWS_AT_ONCE = 500
Row = dict[str, object]
# SQLite puts any value into any column, and damage does
_KINDS: tuple[tuple[type, tuple[type, ...]], ...] = (
    (Boolean, (int,)),
    (Integer, (int,)),
    (Float, (float, int)),
    (String, (str,)),
    (LargeBinary, (bytes,)),
)


def as_text(stored: bytes) -> str:
    """A text of the database. One that damage hit is read all the same, where SQLite's driver would refuse its row."""
    return stored.decode(errors="replace")


def set_aside(path: Path) -> Path:
    """Rename ``path``, and what SQLite keeps beside it, to a name that says what it is. Raises OSError."""
    aside = path.with_name(f"{path.stem}.unusable-{datetime.now(UTC):%Y-%m-%d-%H%M%S}{path.suffix}")
    for side in reversed(SIDES):  # the file last: until then it is found with what belongs to it
        with suppress(FileNotFoundError):
            os.rename(f"{path}{side}", f"{aside}{side}")
    return aside


def salvage(damaged: Path, connection: Connection, tables: Sequence[Table]) -> dict[str, int]:
    """Copy what can be read of ``tables`` (parents first) to ``connection``; how many rows of each.

    ``damaged`` is read and never written. Rows that belong to one that is lost are left out.
    """
    connection.exec_driver_sql("PRAGMA defer_foreign_keys=ON")  # parents are looked for at the end
    for table in tables:
        rows = _readable(damaged, table)
        while some := list(islice(rows, _ROWS_AT_ONCE)):
            connection.execute(insert(table).prefix_with("OR IGNORE"), some)
        for key in table.foreign_keys:
            connection.execute(delete(table).where(key.parent.not_in(select(key.column))))
    return {table.name: connection.execute(select(func.count()).select_from(table)).scalar_one() for table in tables}


def _readable(damaged: Path, table: Table) -> Iterator[Row]:
    """The rows before the first damage, then those after the last, in the order of SQLite's row numbers."""
    if not damaged.is_file():  # a pipe would wait for somebody to write
        return
    to_read = f"{damaged.absolute().as_uri()}?mode=ro"
    with suppress(sqlite3.Error), closing(sqlite3.connect(to_read, uri=True)) as source:
        source.text_factory = as_text
        source.execute("PRAGMA writable_schema = ON")  # a file that is shorter than its head says is read all the same
        last = None
        for number, values in _walked(source, table, "ASC", None):
            last = number
            yield from _whole(table, values)
        for _, values in _walked(source, table, "DESC", last):
            yield from _whole(table, values)


def _walked(
    source: sqlite3.Connection, table: Table, way: str, beyond: int | None
) -> Iterator[tuple[int, Sequence[object]]]:
    """Rows with their numbers, the way that is named, until SQLite refuses or the numbers go round in a circle."""
    columns = ", ".join(f'"{column.name}"' for column in table.columns)
    where = f"WHERE rowid > {beyond}" if beyond is not None else ""
    before: int | None = None
    with suppress(sqlite3.Error):
        for number, *values in source.execute(
            f"SELECT rowid, {columns} FROM {table.name} {where} ORDER BY rowid {way}"
        ):
            if before is not None and (number <= before if way == "ASC" else number >= before):
                return
            before = number
            yield number, values


def _whole(table: Table, values: Sequence[object]) -> Iterator[Row]:
    """The row, if every value is of its column's kind."""
    row: Row = {}
    for column, value in zip(table.columns, values, strict=True):
        kinds = next(kinds for kind, kinds in _KINDS if isinstance(column.type, kind))
        if not (isinstance(value, kinds) or (value is None and column.nullable)):
            return
        row[column.name] = bool(value) if isinstance(column.type, Boolean) else value
    yield row
