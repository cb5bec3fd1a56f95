"""Which links are open, in a list beside the database: a copy of it that is put back opens none that was ended since.

The list is no part of a copy. It is written with every link that is made or ended, and at a start what is not in it is
ended for good. Where there is no list, no link is open. A database that others serve too has links that they made after
the list was written: those stay.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import Connection, Engine, and_, delete, select, update

from qwen_app.saved_chats.database import is_file
from qwen_app.saved_chats.tables import chats, guests, shares

FILE = "open-links"
_WRITTEN_AT = "written at "  # in seconds since 1970, the first line
Tell = Callable[[str], None]
Clock = Callable[[], float]
log = logging.getLogger(__name__)


class OpenLinks:
    """The list at ``path`` of what opens guests and chats of the database behind ``engine``; None: there is none.

    ``tell`` is told, in a sentence, of what the owner should know. All of it blocks.
    """

    def __init__(
        self, engine: Engine, path: Path | None = None, tell: Tell = log.warning, clock: Clock = time.time
    ) -> None:
        self._engine = engine
        self._path = path
        self._tell = tell
        self._clock = clock
        self._told = False

    def end_others(self) -> None:
        """End the links of the database that are not in the list. Raises SQLAlchemyError."""
        if self._path is None:
            return
        listed, written_at = _read(self._path)
        if is_file(self._engine):
            written_at = math.inf  # nobody else serves it
        with self._engine.begin() as connection:
            invited, shared = self._open(connection, made_before=written_at)
            invited, shared = invited - listed, shared - listed
            if invited:
                connection.execute(update(guests).where(guests.c.id.in_(invited)).values(revoked=True))
            if shared:
                connection.execute(delete(shares).where(shares.c.id.in_(shared)))
        if invited or shared:
            self._tell(
                "Saved chats are not those of the last start: links that were not open then are ended "
                f"({len(invited)} of guests, {len(shared)} to chats). Make new ones."
            )
        self.note()

    def note(self) -> None:
        """Write the list as the database has it now. A list that cannot be written is told once."""
        if self._path is None:
            return
        with self._engine.connect() as connection:
            now, found = self._clock(), set.union(*self._open(connection))
        text = "".join(f"{name}\n" for name in sorted(found))
        new = self._path.with_name(f"{FILE}.new")
        try:
            new.unlink(missing_ok=True)
            new.touch(mode=0o600)
            new.write_text(f"{_WRITTEN_AT}{now}\n{text}", encoding="ascii")
            new.rename(self._path)
        except OSError as refused:
            if not self._told:
                self._tell(f"{FILE} cannot be written ({refused.strerror}): links end at the next start.")
            self._told = True
        else:
            self._told = False

    def _open(self, connection: Connection, made_before: float = math.inf) -> tuple[set[str], set[str]]:
        """The ids of the links that open something now: those of guests, and those to chats."""
        now = self._clock()
        invited = select(guests.c.id).where(guests.c.revoked.is_(False), guests.c.expires_at > now)
        there = and_(chats.c.id == shares.c.chat_id, chats.c.deleted_at.is_(None))
        shared = select(shares.c.id).join(chats, there).where(shares.c.expires_at > now)
        if made_before < math.inf:
            invited = invited.where(guests.c.created_at < made_before)
            shared = shared.where(shares.c.created_at < made_before)
        return set(connection.scalars(invited)), set(connection.scalars(shared))


def _read(path: Path) -> tuple[set[str], float]:
    """The ids in the list, and when it was written: for all time where it does not say, or there is none."""
    try:
        first, _, others = path.read_text(encoding="ascii", errors="replace").partition("\n")
    except OSError:
        return set(), math.inf
    if not first.startswith(_WRITTEN_AT):
        return {first, *others.split()}, math.inf
    try:
        return set(others.split()), float(first.removeprefix(_WRITTEN_AT))
    except ValueError:
        return set(), math.inf
