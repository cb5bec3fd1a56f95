"""Opening a database: SQLite in a folder, PostgreSQL by URL, or memory where neither can be had.

A file that is no database of ours, or a damaged one, is set aside, and what of it can be read goes into a new one
(``salvage.py``). One that could be read another time (locked, another user's, newer) is left where it is.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.util import CommandError
from sqlalchemy import Engine, MetaData, StaticPool, Table, create_engine, event
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from qwen_app.errors import PYTHON
from qwen_app.saved_chats.integrity import (
    DatabaseDamaged,
    DatabaseUnusable,
    check_index,
    check_pages,
    check_tables,
    unusable,
)
from qwen_app.saved_chats.salvage import SIDES, as_text, salvage, set_aside
from qwen_app.saved_chats.tables import chats, messages, metadata
from qwen_app.searched_text.compounds import searchable
from qwen_app.searched_text.folding import folded

log = logging.getLogger(__name__)

FILE = "chats.sqlite3"
MIGRATIONS = Path(__file__).with_name("migrations")
_BUSY_S = 10.0  # how long one writer waits for another
_CONNECT_S = 10  # how long a server may take to answer
_NO_URL = "--database-url is no URL such as postgresql://user:password@host/name (in a password, @ is %40)."
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Contents:
    """What a database is for: its ``name`` for people, its ``file``, what makes its tables, and these.

    ``index`` is its FTS5 table. ``salvaged`` are those that are taken over from a damaged file. Links and guests are
    not: one that was revoked might come back to life.
    """

    name: str
    file: str
    migrations: Path
    tables: MetaData
    salvaged: tuple[Table, ...]
    index: str = ""


CHATS = Contents("Saved chats", FILE, MIGRATIONS, metadata, (chats, messages))


def open_database(data_dir: Path, url: str = "", tell: Tell = log.warning) -> Engine:
    """The chats of ``url``, else those of the file in ``data_dir``; the tables are brought up to date.

    Where they cannot be used, ``tell`` is told and they stay in memory: the page is worth more than its history.
    """
    if not url:
        return open_file(data_dir, CHATS, tell)
    try:
        return migrated(postgresql(url))
    except DatabaseUnusable as refused:
        return in_memory(CHATS, refused, tell)


def open_file(data_dir: Path, contents: Contents, tell: Tell = log.warning) -> Engine:
    """The database in ``data_dir``, a new one in the place of one that is damaged, or one in memory.

    ``tell`` is told of all but the first.
    """
    try:
        try:
            return checked_file(data_dir, contents)
        except DatabaseDamaged as damage:
            return _begun_anew(data_dir, contents, damage, tell)
    except DatabaseUnusable as refused:
        return in_memory(contents, refused, tell)


def checked_file(data_dir: Path, contents: Contents) -> Engine:
    """The database in the file, sound and up to date. Raises DatabaseDamaged, or DatabaseUnusable."""
    path = data_dir / contents.file
    if path.exists() and not path.is_file():
        raise DatabaseDamaged("something else stands in its place.")
    log_of_changes = path.with_name(f"{path.name}-wal")
    if _size_bytes(path) == 0 and _size_bytes(log_of_changes) > 0:
        raise DatabaseDamaged("it is empty, though there are changes to it.")
    engine = sqlite_file(data_dir, contents.file)
    try:
        check_pages(engine)
        check_tables(migrated(engine, contents.migrations), contents.tables)
        if contents.index:
            check_index(engine, contents.index)
    except DatabaseUnusable:
        engine.dispose()
        raise
    return engine


def sqlite_file(data_dir: Path, name: str = FILE) -> Engine:
    """A file that only this user may read. Raises DatabaseUnusable where the folder cannot be written; it names the
    file and no path, for ``/ready`` tells it to everybody."""
    path = data_dir / name
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
    except OSError as refused:
        raise DatabaseUnusable(f"{name} cannot be written ({refused.strerror}).") from refused
    return _with_pragmas(create_engine(f"sqlite:///{path}", connect_args={"timeout": _BUSY_S}, hide_parameters=True))


def postgresql(url: str) -> Engine:
    """Raises DatabaseUnusable for a URL that is none, or when its driver is not installed."""
    address = url.replace("postgres://", "postgresql://", 1).replace("postgresql://", "postgresql+psycopg://", 1)
    try:
        engine = create_engine(
            address, hide_parameters=True, pool_pre_ping=True, connect_args={"connect_timeout": _CONNECT_S}
        )
    except ModuleNotFoundError as absent:
        raise DatabaseUnusable(f'PostgreSQL needs its driver: {PYTHON} -m pip install "psycopg[binary]".') from absent
    except (ArgumentError, ValueError) as refused:  # ValueError: a port that is no number
        raise DatabaseUnusable(_NO_URL) from refused
    if "@" in (engine.url.host or ""):  # of the password, whose end the driver would name with the host
        raise DatabaseUnusable(_NO_URL)
    return engine


def memory() -> Engine:
    """Chats that end with the process. For one thread at a time."""
    return _with_pragmas(
        create_engine(
            "sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False}, hide_parameters=True
        ),
    )


def is_file(engine: Engine) -> bool:
    """Whether the database is a file, which this process alone serves."""
    return engine.dialect.name == "sqlite" and bool(engine.url.database)


def outlives_us(engine: Engine) -> bool:
    """Whether the database is there after this process, so that somebody may copy it and put it back."""
    return is_file(engine) or engine.dialect.name != "sqlite"


def migrated(engine: Engine, migrations: Path = MIGRATIONS) -> Engine:
    """``engine`` with its tables as the newest of ``migrations`` wants them: all of them, or as they were.

    Raises DatabaseDamaged, or DatabaseUnusable.
    """
    config = Config()
    config.set_main_option("script_location", str(migrations))
    try:
        with engine.begin() as connection:
            if engine.dialect.name == "sqlite":  # its driver begins none of itself for CREATE TABLE
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            version = MigrationContext.configure(connection).get_current_heads()
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except CommandError as unknown:
        if len(version) == 1 and version[0].isdigit():
            raise DatabaseUnusable("it was written by a newer version of this app.") from unknown
        raise DatabaseDamaged("it was not written by this app.") from unknown
    except SQLAlchemyError as refused:
        raise unusable(refused) from refused
    return engine


def _begun_anew(data_dir: Path, contents: Contents, damage: DatabaseDamaged, tell: Tell) -> Engine:
    """A new database with what could be read of the damaged one. That one is moved when the new one is whole."""
    path, new = data_dir / contents.file, data_dir / f"{contents.file}.new"
    try:
        for side in SIDES:  # of a start that was killed
            new.with_name(new.name + side).unlink(missing_ok=True)
        engine = migrated(sqlite_file(data_dir, new.name), contents.migrations)
        with engine.begin() as connection:
            taken = salvage(path, connection, contents.salvaged)
        engine.dispose()  # its log of changes goes into the file
        old = set_aside(path)
        new.rename(path)
    except OSError as refused:
        raise DatabaseUnusable(f"{damage} It cannot be moved ({refused.strerror}).") from refused
    except SQLAlchemyError as refused:
        raise unusable(refused) from refused
    rows = ", ".join(f"{number} {name}" for name, number in taken.items() if number) or "nothing"
    tell(
        f"{contents.name} begin anew: {path.name} could not be used: {damage} It is kept as {old.name}; "
        f"taken over from it: {rows}."
    )
    return checked_file(data_dir, contents)


def in_memory(contents: Contents, refused: DatabaseUnusable, tell: Tell) -> Engine:
    """A database in the place of one that cannot be used; ``tell`` is told why."""
    tell(f"{contents.name} are kept in memory only, and end with this process: {refused}")
    return migrated(memory(), contents.migrations)


def _size_bytes(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _of_column(made: Callable[[str], str], value: str | bytes | None) -> str | None:
    """Bytes are text that may be damaged, which SQLite hands to no function as text."""
    text = as_text(value) if isinstance(value, bytes) else value
    return None if text is None else made(text)


def _with_pragmas(engine: Engine) -> Engine:
    @event.listens_for(engine, "connect")
    def set_up(connection: sqlite3.Connection, _: object) -> None:
        connection.text_factory = as_text
        # SQLite's own ``lower`` knows ASCII alone, and a search is to find every language's capitals. No index is made
        # with it; the files' triggers call our own names.
        for name, made in (("lower", folded), ("folded", folded), ("searchable", searchable)):
            connection.create_function(name, 1, partial(_of_column, made), deterministic=True)
        # WAL: readers and the writer do not wait for each other, and what is committed survives a killed process
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")

    return engine
