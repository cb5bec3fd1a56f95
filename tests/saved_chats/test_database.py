"""Opening a database: its tables, files that are damaged or in the way, and what is said where it cannot be used."""

from __future__ import annotations

import os
import random
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, text

from qwen_app.saved_chats.chat_store import ChatStore
from qwen_app.saved_chats.database import FILE, migrated, open_database, sqlite_file
from qwen_app.saved_chats.integrity import DatabaseUnusable
from qwen_app.saved_chats.saved_chats import open_saved_chats
from qwen_app.saved_chats.tables import metadata
from qwen_app.saved_chats.values import ChatSummary, SavedChat, SavedMessage

CHATS = 200
PAGE_BYTES = 4096
TITLE = ChatSummary("c", "Title")
Damage = Callable[[Path], None]


def test_the_migrations_make_the_tables_that_the_code_speaks_of(engine: Engine) -> None:
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_a_second_start_finds_what_the_first_one_wrote(tmp_path: Path) -> None:
    told: list[str] = []
    ChatStore(open_database(tmp_path, tell=told.append)).save("ada", SavedChat(TITLE, ()))
    assert [line.title for line in ChatStore(open_database(tmp_path, tell=told.append)).listed("ada")] == ["Title"]
    assert (tmp_path / FILE).stat().st_mode & 0o077 == 0
    assert told == []


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A closed database of many chats of two messages each."""
    engine = open_database(folder := tmp_path_factory.mktemp("filled"))
    store = ChatStore(engine)
    for number in range(CHATS):
        asked = SavedMessage(f"q{number}", None, "user", f"question {number} " + "word " * 100)
        answered = SavedMessage(f"a{number}", asked.id, "assistant", f"answer {number} " + "word " * 100)
        store.save("ada", SavedChat(ChatSummary(f"c{number}", f"Chat {number}"), (asked, answered), answered.id))
    engine.dispose()
    return (folder / FILE).read_bytes()


def over_a_page(path: Path, number: int) -> None:
    with path.open("r+b") as file:
        file.seek(number * PAGE_BYTES)
        file.write(random.Random(number).randbytes(PAGE_BYTES))


def in_two(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def another_table(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("DROP TABLE shares")
        database.execute("CREATE TABLE shares (recipe TEXT)")


def another_program(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE chats (who TEXT)")


def another_version(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE alembic_version SET version_num = 'ae1027a6acf'")


def without_a_version(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("DELETE FROM alembic_version")


def without_its_index(path: Path) -> None:
    """What its pages alone do not show: an index that says something else than its table."""
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("PRAGMA writable_schema = ON")
        database.execute(
            "UPDATE sqlite_schema SET sql = replace(sql, 'updated_at', 'created_at + 1') WHERE type = 'index'"
        )


def only_its_changes(path: Path) -> None:
    path.rename(f"{path}-wal")
    path.touch()


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def text_instead(path: Path) -> None:
    path.write_text("this is no database, and longer than a header " * 9)


# How the file is damaged, and how many of its chats can at least be had back.
DAMAGES: dict[str, tuple[Damage, int]] = {
    "text": (text_instead, 0),
    "its first page is gone": (lambda path: over_a_page(path, 0), 0),
    "a page in its middle is gone": (lambda path: over_a_page(path, 40), CHATS // 2),
    "cut in two": (in_two, 1),
    "another table": (another_table, CHATS),
    "another program's": (another_program, 0),
    "another program's version": (another_version, CHATS),
    "no version": (without_a_version, CHATS),
    "another index": (without_its_index, CHATS),
    "only its changes": (only_its_changes, 0),
    "a folder": (a_folder, 0),
    "a pipe": (a_pipe, 0),
}


@pytest.mark.parametrize("kind", DAMAGES)
def test_what_is_no_database_of_ours_is_set_aside_and_what_can_be_read_is_taken_over(
    tmp_path: Path, filled: bytes, kind: str
) -> None:
    damage, least = DAMAGES[kind]
    path, told = tmp_path / FILE, list[str]()
    path.write_bytes(filled)
    damage(path)
    was = path.read_bytes() if path.is_file() else b""

    store = ChatStore(open_database(tmp_path, tell=told.append))
    (aside,) = (one for one in tmp_path.glob("chats.unusable-*") if not one.name.endswith(("-wal", "-shm")))
    assert len(told) == 1
    assert aside.name in told[0]
    if kind.endswith("gone") or kind in ("text", "cut in two"):  # SQLite writes to a file that it takes for sound
        assert aside.read_bytes() == was
    chats = store.listed("ada")
    assert len(chats) >= least
    for line in chats:
        chat = store.load("ada", line.id)
        assert chat is not None
        assert all(message.content.split()[1] == line.id[1:] for message in chat.messages)
    store.save("ada", SavedChat(TITLE, ()))
    store.engine.dispose()
    again = ChatStore(open_database(tmp_path, tell=told.append))
    assert len(again.listed("ada")) == len(chats) + 1
    assert len(told) == 1
    assert path.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("seed", range(10))
def test_no_damage_whatever_keeps_chats_from_being_saved(tmp_path: Path, filled: bytes, seed: int) -> None:
    path, chance = tmp_path / FILE, random.Random(seed)
    path.write_bytes(filled)
    for _ in range(chance.choice((1, 3, 10))):
        with path.open("r+b") as file:
            file.seek(chance.randrange(path.stat().st_size))
            file.write(chance.randbytes(chance.choice((1, 40, 5000))))
    store = ChatStore(open_database(tmp_path))
    for line in store.listed("ada"):
        store.load("ada", line.id)
    store.save("ada", SavedChat(TITLE, ()))
    assert "c" in {line.id for line in store.listed("ada")}


def test_text_with_a_damaged_byte_does_not_keep_a_search_from_the_rest(tmp_path: Path) -> None:
    store = ChatStore(migrated(sqlite_file(tmp_path)))
    store.save("ada", SavedChat(ChatSummary("c", "Paris"), (SavedMessage("q", None, "user", "?"),), "q"))
    with store.engine.begin() as connection:
        connection.execute(text("UPDATE messages SET content = CAST(x'ff4142' AS TEXT)"))
    assert [len(store.listed("ada", search)) for search in ("ab", "paris", "london")] == [1, 1, 0]
    store.engine.dispose()


def test_an_empty_file_is_a_new_database(tmp_path: Path) -> None:
    told: list[str] = []
    (tmp_path / FILE).touch()
    ChatStore(open_database(tmp_path, tell=told.append)).save("ada", SavedChat(TITLE, ()))
    assert told == []


def newer(folder: Path) -> None:
    with migrated(sqlite_file(folder)).begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))


def locked(folder: Path) -> None:
    kept_open.append(sqlite3.connect(sqlite_file(folder).url.database or "", isolation_level=None))
    kept_open[-1].execute("PRAGMA locking_mode = EXCLUSIVE")
    kept_open[-1].execute("BEGIN EXCLUSIVE")


def in_the_way(folder: Path) -> None:
    folder.rmdir()
    folder.write_text("")


kept_open: list[sqlite3.Connection] = []


@pytest.mark.parametrize("kind", [newer, locked, in_the_way])
def test_what_may_be_read_another_time_is_left_and_chats_stay_in_memory(
    tmp_path: Path, kind: Damage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("qwen_app.saved_chats.database._BUSY_S", 0.1)
    folder, told = tmp_path / "data", list[str]()
    folder.mkdir()
    kind(folder)
    store = ChatStore(open_database(folder, tell=told.append))
    store.save("ada", SavedChat(TITLE, ()))
    assert [line.id for line in store.listed("ada")] == ["c"]
    (sentence,) = told
    assert "Saved chats are kept in memory only" in sentence
    assert str(tmp_path) not in sentence
    assert not list(tmp_path.rglob("*unusable*"))
    while kept_open:
        kept_open.pop().close()


def test_an_update_that_fails_leaves_the_database_as_it_was(tmp_path: Path) -> None:
    """Tables are made in one transaction: half an update would look like damage to the next start."""
    versions = tmp_path / "migrations/versions"
    versions.mkdir(parents=True)
    ours = Path(ChatStore.__module__.replace(".", "/")).parent / "migrations"
    for name in ("env.py", "script.py.mako"):
        (versions.parent / name).write_bytes((ours / name).read_bytes())
    (versions / "0001_half.py").write_text(
        "from alembic import op\nrevision, down_revision = '0001', None\n"
        "def upgrade():\n    op.execute('CREATE TABLE half (a)')\n    op.execute('INSERT INTO nowhere VALUES (1)')\n"
    )
    engine = sqlite_file(tmp_path)
    with pytest.raises(DatabaseUnusable):
        migrated(engine, versions.parent)
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM sqlite_schema").scalar() == 0


@pytest.mark.parametrize("kind", ["cut", "empty", "folder"])
def test_a_key_that_is_not_whole_is_made_anew_once(tmp_path: Path, kind: str) -> None:
    key, told = tmp_path / "browser.key", list[str]()
    if kind == "folder":
        key.mkdir()
    else:
        key.write_bytes(b"half a key" if kind == "cut" else b"")
    first = open_saved_chats(tmp_path, "", tell=told.append).key
    assert len(told) == 1
    assert "browser.unusable-" in told[0]
    assert open_saved_chats(tmp_path, "", tell=told.append).key == first
    assert len(told) == 1
    assert key.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    "url",
    [
        *("nonsense", "mysql://host/x", "postgresql://user:hunter2@127.0.0.1:1/none?connect_timeout=1"),
        *("postgresql://user:my@hunter2@127.0.0.1:1/none", "postgresql://user:hunter2"),
    ],
)
def test_a_database_that_is_not_there_is_told_without_its_password(tmp_path: Path, url: str) -> None:
    told: list[str] = []
    open_database(tmp_path, url, told.append)
    assert "Saved chats are kept in memory only" in told[0]
    assert "hunter2" not in told[0]


def test_a_driver_that_is_missing_is_installed_where_the_app_looks_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    told = list[str]()
    open_database(tmp_path, "postgresql://ada@127.0.0.1:9/chats", told.append).dispose()
    assert '.venv/bin/python -m pip install "psycopg[binary]"' in told[0]
