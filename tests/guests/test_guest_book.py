"""Guests: what a pass opens, how long, how often; and that a restart knows them."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwen_app.errors import (
    AnswersPaused,
    AppError,
    GuestLinkOver,
    GuestNotKept,
    RequestError,
    TooManyRequests,
    TurnsUsedUp,
)
from qwen_app.guests.guest import Guest
from qwen_app.guests.guest_book import FORGOTTEN_S, MOST_GUESTS, UNWRITTEN, GuestBook
from qwen_app.guests.guest_store import GuestStore
from qwen_app.saved_chats.database import Tell
from qwen_app.saved_chats.saved_chats import SavedChats, chats_in_memory, open_saved_chats
from qwen_app.saved_chats.values import ChatSummary, SavedChat
from qwen_app.stage.stage import Stage

pytestmark = pytest.mark.anyio


AGAIN_S = 0.02


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@asynccontextmanager
async def book_of(
    saved: SavedChats | None = None, clock: Clock | None = None, *, again_s: float = AGAIN_S, told: Tell = print
) -> AsyncGenerator[GuestBook, None]:
    saved = saved or chats_in_memory()
    async with saved.running():
        book = GuestBook(saved, Stage(), clock or Clock(), tell=told, write_again_s=again_s)
        async with book.running():
            yield book


async def test_a_pass_is_bound_to_its_kind_name_and_time() -> None:
    async with book_of() as book:
        anna = await book.invite(" Anna \n Müller ", lifetime_s=60, turns=3)
        assert anna.name == "Anna Müller"
        cookie, link = book.pass_of(anna, "cookie"), book.pass_of(anna, "link")
        assert book.guest_with(cookie, "cookie") == anna
        assert book.guest_with(link, "link") == anna
        assert book.guest_with(link, "cookie") is None
        for changed in (dataclasses.replace(anna, name="Bob"), dataclasses.replace(anna, expires_at=9e9)):
            assert book.guest_with(book.pass_of(changed, "cookie"), "cookie") is None


@pytest.fixture(scope="module")
def empty() -> GuestBook:
    return GuestBook(chats_in_memory(), Stage(), Clock())


@given(forged=st.text(max_size=80))
def test_what_nobody_was_given_is_no_pass(empty: GuestBook, forged: str) -> None:
    assert empty.guest_with(forged, "cookie") is None


async def test_a_pass_of_another_server_is_none() -> None:
    async with book_of() as book, book_of() as other:
        anna = await book.invite("Anna", lifetime_s=60, turns=3)
        assert other.guest_with(book.pass_of(anna, "link"), "link") is None


async def test_turns_are_counted_and_never_more_than_there_are() -> None:
    async with book_of() as book:
        anna = await book.invite("Anna", lifetime_s=60, turns=3)

        async def ask() -> bool:
            await asyncio.sleep(0)
            try:
                book.take(anna.user)
            except TurnsUsedUp:
                return False
            return True

        taken = await asyncio.gather(*(ask() for _ in range(20)))
        assert sum(taken) == 3
        book.give_back(anna.user)
        book.take(anna.user)
        with pytest.raises(TurnsUsedUp):
            book.take(anna.user)


async def test_time_and_revocation_end_a_link() -> None:
    clock = Clock()
    async with book_of(clock=clock) as book:
        anna, bob = [await book.invite(name, lifetime_s=60, turns=3) for name in ("Anna", "Bob")]
        assert await book.revoke(anna.id)
        with pytest.raises(GuestLinkOver):
            book.take(anna.user)
        book.take(bob.user)
        clock.now += 60
        with pytest.raises(GuestLinkOver):
            book.take(bob.user)
        assert await book.revoke(bob.id)  # it is over: its line is taken away
        assert [guest.name for guest in book.guests()] == ["Anna"]
        assert not await book.revoke(bob.id)


async def test_a_link_is_revoked_though_its_question_gives_back_its_turn_meanwhile() -> None:
    saved = chats_in_memory()
    async with book_of(saved) as book:
        anna = await book.invite("Anna", lifetime_s=60, turns=3)
        book.take(anna.user)
        await asyncio.sleep(0)  # the turn is being written
        await book.written()
        revoking = asyncio.create_task(book.revoke(anna.id))
        await asyncio.sleep(0)  # the end is being written
        book.give_back(anna.user)
        assert await revoking
        await book.written()
        (kept,) = await saved.run(GuestStore(saved.chats.engine, saved.links).read)
        assert (kept.revoked, kept.turns_used) == (True, 0)


async def test_a_guest_who_is_forgotten_leaves_no_chats() -> None:
    saved, clock = chats_in_memory(), Clock()
    async with book_of(saved, clock) as book:
        guests = [await book.invite(name, lifetime_s=60, turns=1) for name in ("Anna", "Bob", "Cy")]
        for guest in guests:
            await saved.run(saved.chats.save, guest.user, SavedChat(ChatSummary(guest.id, "Title"), ()))
        await book.revoke(guests[0].id)
        await book.revoke(guests[0].id)  # its line is taken away

        async def left() -> list[bool]:
            return [bool(await saved.run(saved.chats.listed, guest.user)) for guest in guests]

        assert await left() == [False, True, True]
        clock.now += 60 + FORGOTTEN_S
        await book.invite("Di", lifetime_s=60, turns=1)
        assert await left() == [False, False, False]


async def test_a_pause_takes_no_turn() -> None:
    saved, stage = chats_in_memory(), Stage()
    async with saved.running():
        book = GuestBook(saved, stage)
        anna = await book.invite("Anna", lifetime_s=60, turns=3)
        stage.pause("ada")
        with pytest.raises(AnswersPaused):
            book.take(anna.user)
        assert book.guests()[0].turns_left == 3


@pytest.mark.parametrize(
    ("name", "lifetime_s", "turns"),
    [("", 60, 1), ("\x07", 60, 1), ("a", 1, 1), ("a", 1e9, 1), ("a", 60, 0), ("a", 60, 10**9), ("a", float("nan"), 1)],
)
async def test_what_makes_no_sense_is_no_invitation(name: str, lifetime_s: float, turns: int) -> None:
    async with book_of() as book:
        with pytest.raises(RequestError):
            await book.invite(name, lifetime_s=lifetime_s, turns=turns)


async def test_guests_are_bounded() -> None:
    async with book_of() as book:
        for number in range(MOST_GUESTS):
            await book.invite(str(number), lifetime_s=60, turns=1)
        with pytest.raises(TooManyRequests):
            await book.invite("one more", lifetime_s=60, turns=1)


async def test_a_restart_knows_the_guests_and_their_turns(tmp_path: Path) -> None:
    async def start(act: str, user: str = "") -> list[Guest]:
        saved = open_saved_chats(tmp_path, "")
        async with book_of(saved) as book:
            if act == "invite":
                await book.invite("Anna", lifetime_s=3600, turns=3)
            elif act == "ask":
                book.take(user)
            elif act == "revoke":
                await book.revoke(book.guests()[0].id)
            return [guest for guest in book.guests() if book.guest_with(book.pass_of(guest, "cookie"), "cookie")]

    (anna,) = await start("invite")
    await start("ask", anna.user)
    (again,) = await start("look")
    assert (again.id, again.turns_left) == (anna.id, 2)
    await start("revoke")
    (over,) = await start("look")
    assert over.revoked
    with pytest.raises(AppError):
        await start("ask", anna.user)


class Disk:
    """Of a database in ``folder``: it takes nothing more while it is full."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.saved = open_saved_chats(folder, "")

    async def fill(self) -> None:
        await self.saved.run(self._write, "PRAGMA query_only = ON")

    async def make_room(self) -> None:
        await self.saved.run(self._write, "PRAGMA query_only = OFF")

    def _write(self, pragma: str) -> None:
        with self.saved.chats.engine.connect() as connection:
            connection.exec_driver_sql(pragma)

    def kept(self) -> list[Guest]:
        """What a restart would find."""
        return GuestStore(self.saved.chats.engine, self.saved.links).read()


async def test_a_revocation_that_a_full_disk_did_not_take_is_refused_and_the_link_is_closed(tmp_path: Path) -> None:
    disk, told = Disk(tmp_path), list[str]()
    async with book_of(disk.saved, again_s=3600, told=told.append) as book:
        anna = await book.invite("Anna", lifetime_s=3600, turns=3)
        await disk.fill()
        for _ in range(2):  # asked again it is no more written than before
            with pytest.raises(GuestNotKept, match="a restart would open the link again") as refused:
                await book.revoke(anna.id)
            assert (refused.value.http_status, refused.value.code) == (507, "disk_full")
        with pytest.raises(GuestLinkOver):
            book.take(anna.user)
        assert told == [UNWRITTEN]
        await disk.make_room()


@pytest.mark.parametrize("act", ["revoke", "turn"])
@pytest.mark.parametrize("again_s", [AGAIN_S, 3600.0], ids=["by and by", "at the end"])
async def test_what_a_full_disk_did_not_take_is_written_once_there_is_room(
    act: str, again_s: float, tmp_path: Path
) -> None:
    disk = Disk(tmp_path)
    async with book_of(disk.saved, again_s=again_s) as book:
        anna = await book.invite("Anna", lifetime_s=3600, turns=3)
        await disk.fill()
        if act == "turn":
            book.take(anna.user)
            for _ in range(2):  # the one that the turn began is among them
                await asyncio.sleep(0)
                await book.written()
        else:
            with pytest.raises(GuestNotKept):
                await book.revoke(anna.id)
        assert disk.kept() == [anna]
        await disk.make_room()
        if again_s == AGAIN_S:
            for _ in range(200):
                await asyncio.sleep(AGAIN_S)
                if disk.kept() != [anna]:
                    break
            assert disk.kept() != [anna]
    (again,) = Disk(tmp_path).kept()
    assert (again.revoked, again.turns_used) == ((True, 0) if act == "revoke" else (False, 1))


async def test_a_guest_who_cannot_be_written_gets_no_link(tmp_path: Path) -> None:
    disk = Disk(tmp_path)
    async with book_of(disk.saved) as book:
        await disk.fill()
        with pytest.raises(GuestNotKept, match="There is no new link"):
            await book.invite("Anna", lifetime_s=3600, turns=3)
        assert book.guests() == []
        await disk.make_room()
        assert await book.invite("Anna", lifetime_s=3600, turns=3) in book.guests()
    assert len(Disk(tmp_path).kept()) == 1
