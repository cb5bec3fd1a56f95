"""Who is a guest here, and what each may still do. Decided in memory by the event loop alone, written behind it.

Two sends at once cannot both have the last turn: nothing is awaited between looking and taking. What was taken is in
the database a moment later, so that a restart knows it. What a full disk did not take is written again by and by, and
whoever revoked a link is told that a restart would open it.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import hashlib
import hmac
import logging
import re
import secrets
import time
from collections.abc import AsyncGenerator, Callable

from sqlalchemy.exc import SQLAlchemyError

from qwen_app.errors import AppError, GuestLinkOver, GuestNotKept, RequestError, TooManyRequests, TurnsUsedUp
from qwen_app.fair_share import GUESTS
from qwen_app.guests.guest import LIMIT_NAME_CHARS, Guest, user_of
from qwen_app.guests.guest_store import GuestStore
from qwen_app.saved_chats.database import Tell
from qwen_app.saved_chats.saved_chats import SavedChats
from qwen_app.stage.stage import Stage

log = logging.getLogger(__name__)

MOST_GUESTS = 200
LONGEST_S = 30 * 24 * 3600.0
MOST_TURNS = 10_000
FORGOTTEN_S = 7 * 24 * 3600.0  # after a link is over, its line is kept for the presenter
WRITE_AGAIN_S = 10.0
NOT_ENDED = (
    "The link is closed, but the server's disk is full or cannot be written: a restart would open the link again. "
    "Writing is tried every few seconds. Make room on the disk."
)
UNWRITTEN = (
    "Changes of guests could not be written. They are tried every few seconds; a restart before that opens revoked "
    "links again."
)
_ID_BYTES = 8
_PASS = re.compile(r"([0-9a-f]{16})\.([0-9a-f]{32})")
Clock = Callable[[], float]


class GuestBook:
    """The guests. Their passes are signed: ``link`` ones stand in links, ``cookie`` ones in browsers.

    ``tell`` is told, in a sentence, where changes cannot be written; they are tried again every ``write_again_s``.
    """

    def __init__(
        self,
        saved: SavedChats,
        stage: Stage,
        clock: Clock = time.time,
        *,
        tell: Tell = log.warning,
        write_again_s: float = WRITE_AGAIN_S,
    ) -> None:
        self._saved = saved
        self._tell = tell
        self._told = False
        self._write_again_s = write_again_s
        self._store = GuestStore(saved.chats.engine, saved.links)
        self._stage = stage
        self._clock = clock
        self._guests: dict[str, Guest] = {}
        self._kept: dict[str, Guest] = {}  # as they are in the database: a restart finds these
        self._writing = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncGenerator[None, None]:
        """Within the block the guests of the last start are known; at its end everything is written."""
        try:
            self._kept = {guest.id: guest for guest in await self._saved.run(self._store.read)}
        except SQLAlchemyError as error:
            log.warning("the guests could not be read: %s", type(error).__name__)
        self._guests |= self._kept
        self._forget_old()
        await self.written()
        again = asyncio.create_task(self._write_again_for_ever())
        try:
            yield
        finally:
            again.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await again
            await self.written()
            changed, forgotten = self._unwritten()
            if changed or forgotten:
                unsaved = len(changed) + len(forgotten)
                log.error("%d guests end unsaved: links that were revoked may open again.", unsaved)

    def guests(self) -> list[Guest]:
        """All that are remembered, the newest first."""
        return sorted(self._guests.values(), key=lambda guest: guest.created_at, reverse=True)

    async def invite(self, name: str, *, lifetime_s: float, turns: int) -> Guest:
        """A new guest. Raises RequestError for a name, a time or a number of turns that is none, and
        GuestNotKept where the link would end with the process."""
        self._forget_old()
        name = " ".join(name.split())[:LIMIT_NAME_CHARS]
        if not name.isprintable() or not name:
            raise RequestError("A guest needs a name.")
        if not 60 <= lifetime_s <= LONGEST_S or not 1 <= turns <= MOST_TURNS:
            raise RequestError(f"A guest link works up to 30 days, for 1 to {MOST_TURNS:,} answers.")
        if len(self._guests) >= MOST_GUESTS:
            raise TooManyRequests(f"There are {MOST_GUESTS} guest links. Revoke some first.")
        now = self._clock()
        guest = Guest(secrets.token_hex(_ID_BYTES), name, turns, now + lifetime_s, now)
        self._guests[guest.id] = guest
        await self.written()
        if guest.id not in self._kept:
            del self._guests[guest.id]
            raise GuestNotKept("There is no new link: the server's disk is full or cannot be written.")
        return guest

    async def revoke(self, guest_id: str) -> bool:
        """End a guest's link, and what is being answered for it; whether there was such a guest. One whose link was
        over before is forgotten.

        Raises GuestNotKept where that cannot be written: the link is closed, and only as long as the process lives.
        """
        guest = self._guests.get(guest_id)
        if guest is None:
            return False
        if guest.is_over(self._clock()):
            del self._guests[guest_id]
        else:
            self._guests[guest_id] = dataclasses.replace(guest, revoked=True)
            self._stage.stop(guest.user, GuestLinkOver())
        await self.written()
        kept = self._kept.get(guest_id)
        if kept is not None and not self.is_over(kept):
            raise GuestNotKept(NOT_ENDED)
        return True

    def pass_of(self, guest: Guest, kind: str) -> str:
        """What proves to be this guest. It is bound to the name and the time, so that a change of either ends it."""
        signed = f"guest {kind}\0{guest.id}\0{guest.expires_at}\0{guest.name}".encode()
        return f"{guest.id}.{hmac.new(self._saved.key, signed, hashlib.sha256).hexdigest()[:32]}"

    def guest_with(self, guest_pass: str, kind: str) -> Guest | None:
        """The guest whose pass this is, whether or not it is over; None for what is no pass of ours."""
        found = _PASS.fullmatch(guest_pass)
        guest = self._guests.get(found[1]) if found else None
        return guest if guest and hmac.compare_digest(self.pass_of(guest, kind), guest_pass) else None

    def is_over(self, guest: Guest) -> bool:
        return guest.is_over(self._clock())

    def left_s(self, guest: Guest) -> float:
        """How long the guest's link still works."""
        return guest.expires_at - self._clock()

    def guest_named(self, user: str) -> Guest | None:
        """The guest that ``Guest.user`` names."""
        return self._guests.get(user.removeprefix(GUESTS))

    def take(self, user: str) -> None:
        """One turn of the guest's. Raises AppError where there is none to take, or nothing may be asked just now."""
        self._stage.check(user)
        guest = self.guest_named(user)
        if guest is None or self.is_over(guest):
            raise GuestLinkOver
        if not guest.turns_left:
            raise TurnsUsedUp
        self._guests[guest.id] = dataclasses.replace(guest, turns_used=guest.turns_used + 1)
        self._write_soon()

    def give_back(self, user: str) -> None:
        """A turn that came to nothing: the question could not be asked."""
        guest = self.guest_named(user)
        if guest is not None:
            self._guests[guest.id] = dataclasses.replace(guest, turns_used=max(0, guest.turns_used - 1))
            self._write_soon()

    async def written(self) -> None:
        """Write all that has changed. What a database that fails did not take stays to be written."""
        async with self._writing:
            changed, forgotten = self._unwritten()
            if not changed and not forgotten:
                return
            try:
                await self._saved.run(self._store.write, changed, forgotten)
                self._kept |= {guest.id: guest for guest in changed}
                for name in forgotten:  # nobody can open their chats any more, and they would take up room for ever
                    await self._saved.run(self._saved.chats.delete_all, user_of(name))
                    del self._kept[name]
            except (AppError, SQLAlchemyError) as error:
                self._tell_unwritten(error)

    def _unwritten(self) -> tuple[list[Guest], list[str]]:
        """Who is not in the database as he is now, and the ids of those who are there and forgotten here."""
        changed = [guest for guest in self._guests.values() if self._kept.get(guest.id) != guest]
        return changed, [name for name in self._kept if name not in self._guests]

    def _tell_unwritten(self, error: Exception) -> None:
        log.warning("the guests could not be saved: %s", type(error).__name__)
        if not self._told:  # once: what is told stands as long as the process lives
            self._told = True
            self._tell(UNWRITTEN)

    async def _write_again_for_ever(self) -> None:
        while True:
            await asyncio.sleep(self._write_again_s)
            await self.written()

    def _write_soon(self) -> None:
        task = asyncio.create_task(self.written())
        self._tasks.add(task)  # the loop itself keeps no task alive
        task.add_done_callback(self._tasks.discard)

    def _forget_old(self) -> None:
        now = self._clock()
        old = [guest.id for guest in self._guests.values() if now >= guest.expires_at + FORGOTTEN_S]
        for name in old:
            del self._guests[name]
