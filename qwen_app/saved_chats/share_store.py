"""Read-only links to chats. A link's token is shown once; what is kept of it cannot be turned back into the link."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable

from sqlalchemy import ColumnElement, Engine, and_, delete, func, insert, select

from qwen_app.errors import NotFound, TooManyRequests
from qwen_app.saved_chats.chat_store import whole_chat
from qwen_app.saved_chats.open_links import OpenLinks
from qwen_app.saved_chats.tables import chats, shares
from qwen_app.saved_chats.values import SavedChat, SavedMessage, SharedLink

LINKS_PER_USER = 100
_TOKEN_BYTES = 24
Clock = Callable[[], float]


class ShareStore:
    """Links in the database behind ``engine``; ``links`` are told of each. All of it blocks."""

    def __init__(self, engine: Engine, clock: Clock = time.time, links: OpenLinks | None = None) -> None:
        self._engine = engine
        self._links = links or OpenLinks(engine)
        self._clock = clock

    def share(self, owner: str, chat_id: str, lifetime_s: float) -> str:
        """A token that shows what the chat shows now. Raises NotFound, or TooManyRequests over LINKS_PER_USER."""
        token, now = secrets.token_urlsafe(_TOKEN_BYTES), self._clock()
        with self._engine.begin() as connection:
            connection.execute(delete(shares).where(shares.c.expires_at < now))
            own = select(chats.c.head_id).where(chats.c.id == chat_id, chats.c.owner == owner)
            head_id = connection.execute(own.where(chats.c.deleted_at.is_(None))).scalar_one_or_none()
            if head_id is None:
                raise NotFound("There is no such chat of yours.")
            number = select(func.count()).select_from(shares).where(shares.c.owner == owner)
            if int(connection.execute(number).scalar_one()) >= LINKS_PER_USER:
                raise TooManyRequests(f"You have {LINKS_PER_USER} links open. Revoke some first.")
            row = {"id": _digest(token), "chat_id": chat_id, "owner": owner, "head_id": head_id}
            connection.execute(insert(shares).values(**row, created_at=now, expires_at=now + lifetime_s))
        self._links.note()
        return token

    def links(self, owner: str, chat_id: str) -> list[SharedLink]:
        """The links to a chat that still open it."""
        wanted = and_(shares.c.owner == owner, shares.c.chat_id == chat_id, shares.c.expires_at >= self._clock())
        with self._engine.connect() as connection:
            rows = connection.execute(select(shares).where(wanted).order_by(shares.c.created_at))
            return [SharedLink(row.id, row.expires_at) for row in rows]

    def revoke(self, owner: str, link_id: str) -> bool:
        """Whether there was such a link."""
        with self._engine.begin() as connection:
            gone = delete(shares).where(shares.c.owner == owner, shares.c.id == link_id)
            found = connection.execute(gone).rowcount > 0
        self._links.note()
        return found

    def shown(self, token: str) -> tuple[SavedChat, list[SavedMessage]] | None:
        """The chat behind a token, and the messages that were shared; None where the link opens nothing (any more)."""
        with self._engine.connect() as connection:
            link = connection.execute(select(shares).where(self._live(token))).one_or_none()
            if link is None:
                return None
            there = select(chats).where(chats.c.id == link.chat_id, chats.c.deleted_at.is_(None))
            row = connection.execute(there).one_or_none()
            if row is None:
                return None
            chat = whole_chat(connection, row._mapping)
            return chat, chat.path(link.head_id)

    def version(self, token: str) -> str | None:
        """What is another once the link shows something else; None where it opens nothing (any more).

        Unlike ``shown`` it costs the same for every chat.
        """
        columns = select(chats.c.updated_at, chats.c.title).join(shares, shares.c.chat_id == chats.c.id)
        with self._engine.connect() as connection:
            row = connection.execute(columns.where(self._live(token), chats.c.deleted_at.is_(None))).one_or_none()
            return None if row is None else f"{row.updated_at} {row.title}"

    def _live(self, token: str) -> ColumnElement[bool]:
        return and_(shares.c.id == _digest(token), shares.c.expires_at >= self._clock())


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
