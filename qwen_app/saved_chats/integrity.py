"""Whether a database is sound: what SQLite says of its pages, and whether its tables are ours."""

from __future__ import annotations

import logging
import sqlite3
import time

from sqlalchemy import Connection, Engine, MetaData, inspect
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

log = logging.getLogger(__name__)

# The first check that ends in its time tells: the whole, which takes 14 s a gigabyte, or all but the indexes, which 2.
_CHECKS_S = {"integrity_check(1)": 3.0, "quick_check(1)": 20.0}
_INDEX_S = 3.0
_STEPS = 10_000  # of SQLite's machine between two looks at the clock
# SQLite's codes for "no such column", "malformed" and "not a database"; the others may pass, as a full disk does
_DAMAGE_CODES = (sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_PRIMARY_CODE = 0xFF  # of SQLite's extended codes


class DatabaseUnusable(Exception):
    """Its sentence says why, and holds no password."""


class DatabaseDamaged(DatabaseUnusable):
    """What stands in the file's place will never be a database of ours again."""


def check_pages(engine: Engine) -> None:
    """Raises DatabaseDamaged where the pages of the file do not fit together, as far as there is time to look;
    or DatabaseUnusable."""
    try:
        with engine.connect() as connection:
            for check, limit_s in _CHECKS_S.items():
                found = _within(connection, f"PRAGMA {check}", limit_s)
                if found == "ok":
                    return
                if found:
                    raise DatabaseDamaged(f"the file is damaged ({found.splitlines()[-1]}).")
    except SQLAlchemyError as refused:
        raise unusable(refused) from refused
    log.info("%s is too large to be checked whole.", engine.url.database)


def check_index(engine: Engine, index: str) -> None:
    """Raises DatabaseDamaged where the FTS5 table ``index``, if it is there, is not sound; or DatabaseUnusable."""
    check = f"INSERT INTO {index}({index}) VALUES ('integrity-check')"  # how FTS5 takes commands; it writes nothing
    try:
        with engine.connect() as connection:
            if index in inspect(connection).get_table_names():
                _within(connection, check, _INDEX_S)
    except SQLAlchemyError as refused:
        raise unusable(refused) from refused


def _within(connection: Connection, check: str, limit_s: float) -> str:
    """What SQLite answers to ``check``; empty where it has nothing to say, or had no time to say it."""
    driver = connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)
    until = time.monotonic() + limit_s
    driver.set_progress_handler(lambda: time.monotonic() > until, _STEPS)
    try:
        answer = connection.exec_driver_sql(check)
        return str(answer.scalar()) if answer.returns_rows else ""
    except DBAPIError as stopped:
        if _code(stopped) == sqlite3.SQLITE_INTERRUPT:
            return ""
        raise
    finally:
        driver.set_progress_handler(None, 0)


def check_tables(engine: Engine, tables: MetaData) -> None:
    """Raises DatabaseDamaged where a table of ours is missing or another's, or DatabaseUnusable."""
    try:
        with engine.connect() as connection:
            looked_at = inspect(connection)
            there = set(looked_at.get_table_names())
            for table in tables.sorted_tables:
                columns = looked_at.get_columns(table.name) if table.name in there else []
                if not {column["name"] for column in columns}.issuperset(table.columns.keys()):
                    raise DatabaseDamaged(f"its table {table.name} is not the one of this app.")
    except SQLAlchemyError as refused:
        raise unusable(refused) from refused


def unusable(refused: SQLAlchemyError) -> DatabaseUnusable:
    """What ``refused`` means: DatabaseDamaged, or what may pass."""
    cause = str(getattr(refused, "orig", None) or type(refused).__name__).splitlines()[0]
    kind = DatabaseDamaged if _code(refused) in _DAMAGE_CODES else DatabaseUnusable
    return kind(f"the database refuses ({cause}).")


def cannot_write(refused: SQLAlchemyError) -> bool:
    """Whether it is the disk that refuses, for it is full, broken or read-only."""
    return _code(refused) in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY)


def _code(refused: SQLAlchemyError) -> int | None:
    code = getattr(getattr(refused, "orig", None), "sqlite_errorcode", None)
    return code & _PRIMARY_CODE if isinstance(code, int) else None
