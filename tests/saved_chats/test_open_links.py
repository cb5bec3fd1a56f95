"""A copy of the database that is put back opens no link that was ended since, and all that were not."""

from __future__ import annotations

import dataclasses
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import delete, insert

from qwen_app.guests.guest import Guest
from qwen_app.guests.guest_store import GuestStore
from qwen_app.saved_chats import tables
from qwen_app.saved_chats.database import FILE, memory, migrated
from qwen_app.saved_chats.open_links import FILE as LIST
from qwen_app.saved_chats.open_links import OpenLinks
from qwen_app.saved_chats.saved_chats import SavedChats, open_saved_chats
from qwen_app.saved_chats.values import ChatSummary, SavedChat, SavedMessage

DAY_S = 86_400.0
COPY = "copy.sqlite3"


def opened(folder: Path, told: list[str] | None = None) -> SavedChats:
    return open_saved_chats(folder, "", tell=(told if told is not None else []).append)


def shared(saved: SavedChats, name: str) -> str:
    """A link to a new chat."""
    said = SavedMessage(f"{name}-0", None, "user", "hi")
    saved.chats.save("ada", SavedChat(ChatSummary(name, name), (said,), said.id))
    return saved.shares.share("ada", name, DAY_S)


def guest(name: str, *, revoked: bool = False) -> Guest:
    now = time.time()
    return Guest(name, name, turns=5, expires_at=now + DAY_S, created_at=now, revoked=revoked)


def open_guests(saved: SavedChats) -> set[str]:
    found = GuestStore(saved.chats.engine, saved.links).read()
    return {one.id for one in found if not one.is_over(time.time())}


def copy_while_it_runs(folder: Path) -> None:
    with closing(sqlite3.connect(folder / FILE)) as database, closing(sqlite3.connect(folder / COPY)) as copy:
        database.backup(copy)


def put_back(saved: SavedChats, folder: Path) -> None:
    saved.chats.engine.dispose()
    for side in ("-wal", "-shm"):
        (folder / f"{FILE}{side}").unlink(missing_ok=True)
    (folder / COPY).replace(folder / FILE)


def test_what_was_ended_since_the_copy_stays_ended(tmp_path: Path) -> None:
    saved = opened(tmp_path)
    guests = GuestStore(saved.chats.engine, saved.links)
    guests.write([guest("stays"), guest("revoked"), guest("forgotten")])
    stays, revoked, deleted, undone = (shared(saved, name) for name in ("stays", "revoked", "deleted", "undone"))
    copy_while_it_runs(tmp_path)

    guests.write([guest("revoked", revoked=True)], forgotten=["forgotten"])
    saved.shares.revoke("ada", saved.shares.links("ada", "revoked")[0].id)
    saved.chats.delete("ada", "deleted")
    saved.chats.delete("ada", "undone")
    saved.chats.restore("ada", "undone")
    put_back(saved, tmp_path)

    told: list[str] = []
    saved = opened(tmp_path, told)
    assert open_guests(saved) == {"stays"}
    assert [saved.shares.shown(link) is not None for link in (stays, revoked, deleted, undone)] == [
        True,
        False,
        False,
        True,
    ]
    assert saved.chats.load("ada", "deleted") is not None  # the copy's chats are all there
    assert len(told) == 1
    assert "2 of guests, 2 to chats" in told[0]


def test_a_whole_folder_that_was_put_back_without_its_list_has_no_open_link(tmp_path: Path) -> None:
    saved = opened(tmp_path)
    GuestStore(saved.chats.engine, saved.links).write([guest("anna")])
    link = shared(saved, "chat")
    saved.chats.engine.dispose()
    (tmp_path / LIST).unlink()
    saved = opened(tmp_path)
    assert open_guests(saved) == set()
    assert saved.shares.shown(link) is None


def test_of_a_database_that_others_serve_what_they_made_since_stays_open(tmp_path: Path) -> None:
    """A database in memory stands for a server's: it is no file either."""
    engine, now = migrated(memory()), time.time()
    links = OpenLinks(engine, tmp_path / LIST, clock=lambda: now)
    ours, theirs = GuestStore(engine, links), GuestStore(engine, OpenLinks(engine))
    ours.write([dataclasses.replace(guest("ended"), created_at=now - 1)])
    copy = ours.read()
    ours.write([], forgotten=["ended"])
    made_since = dataclasses.replace(guest("since"), created_at=now + 1)
    theirs.write([*copy, made_since])  # the copy is put back, and a link is made
    OpenLinks(engine, tmp_path / LIST, lambda _: None, lambda: now).end_others()
    assert {one.id: one.revoked for one in ours.read()} == {"ended": True, "since": False}
    engine.dispose()


@pytest.mark.slow
def test_a_copy_of_postgresql_opens_nothing_either(tmp_path: Path, postgresql_url: str) -> None:
    saved = open_saved_chats(tmp_path, postgresql_url)
    guests = GuestStore(saved.chats.engine, saved.links)
    guests.write([guest("stays"), guest("ended")])
    copy = guests.read()
    guests.write([guest("ended", revoked=True)])
    guests.write([], forgotten=["stays", "ended"])
    guests.write([guest("stays")])
    with saved.chats.engine.begin() as connection:
        connection.execute(delete(tables.guests))
        connection.execute(insert(tables.guests), [dataclasses.asdict(one) for one in copy])
    saved.chats.engine.dispose()
    saved = open_saved_chats(tmp_path, postgresql_url)
    assert open_guests(saved) == {"stays"}
    saved.chats.engine.dispose()


def test_a_turn_that_was_used_writes_no_list(tmp_path: Path) -> None:
    saved = opened(tmp_path)
    guests = GuestStore(saved.chats.engine, saved.links)
    guests.write([guest("anna")])
    (tmp_path / LIST).unlink()
    guests.write([dataclasses.replace(guest("anna"), turns_used=1)])
    assert not (tmp_path / LIST).exists()
    assert [one.turns_used for one in guests.read()] == [1]
    saved.chats.engine.dispose()


def test_a_start_like_any_other_ends_nothing_and_says_nothing(tmp_path: Path) -> None:
    saved = opened(tmp_path)
    GuestStore(saved.chats.engine, saved.links).write([guest("anna")])
    link = shared(saved, "chat")
    saved.chats.purge()
    saved.chats.engine.dispose()
    told: list[str] = []
    saved = opened(tmp_path, told)
    assert open_guests(saved) == {"anna"}
    assert saved.shares.shown(link) is not None
    assert told == []
    assert (tmp_path / LIST).stat().st_mode & 0o077 == 0


def test_a_list_that_cannot_be_written_is_told_once(tmp_path: Path) -> None:
    told: list[str] = []
    saved = opened(tmp_path, told)
    (tmp_path / f"{LIST}.new").mkdir()  # in the way
    shared(saved, "one")
    shared(saved, "two")
    assert len(told) == 1
    assert "links end at the next start" in told[0]
    (tmp_path / f"{LIST}.new").rmdir()
    shared(saved, "three")
    assert len((tmp_path / LIST).read_text(encoding="ascii").splitlines()[1:]) == 3
