"""Guests in the database. All of it blocks, and raises SQLAlchemyError where the database fails."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from sqlalchemy import Connection, Engine, delete, insert, select, update

from qwen_app.guests.guest import Guest
from qwen_app.saved_chats.open_links import OpenLinks
from qwen_app.saved_chats.tables import guests


class GuestStore:
    """``engine`` is that of the saved chats, ``links`` are told which open something."""

    def __init__(self, engine: Engine, links: OpenLinks) -> None:
        self._engine = engine
        self._links = links

    def read(self) -> list[Guest]:
        """Everybody, in the order they were invited."""
        with self._engine.connect() as connection:
            rows = connection.execute(select(guests).order_by(guests.c.created_at))
            return [Guest(**row._mapping) for row in rows]

    def write(self, changed: Sequence[Guest], forgotten: Sequence[str] = ()) -> None:
        """Write these guests as they are now, and delete those with the ids ``forgotten``.

        A turn that was used is one row: the list of links is written where one was made or ended.
        """
        with self._engine.begin() as connection:
            invited = [guest for guest in changed if not _update(connection, guest)]
            if invited:
                connection.execute(insert(guests), [dataclasses.asdict(guest) for guest in invited])
            if forgotten:
                connection.execute(delete(guests).where(guests.c.id.in_(forgotten)))
        if invited or forgotten or any(guest.revoked for guest in changed):
            self._links.note()


def _update(connection: Connection, guest: Guest) -> bool:
    """Write what changes of a guest; whether he was there."""
    changes = {"turns_used": guest.turns_used, "revoked": guest.revoked}
    return connection.execute(update(guests).where(guests.c.id == guest.id).values(**changes)).rowcount > 0
