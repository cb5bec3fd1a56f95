"""What is done with saved chats. Every call names the owner, and sees nothing of anybody else's: an id is no right.

All of it blocks, and raises SQLAlchemyError where the database fails.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Engine,
    LargeBinary,
    RowMapping,
    Text,
    Update,
    and_,
    cast,
    delete,
    exists,
    func,
    insert,
    or_,
    select,
    type_coerce,
    update,
)

from qwen_app.errors import ServerFull, TooManyRequests
from qwen_app.fair_share import BROWSERS, GUESTS, crowd_of, has_room
from qwen_app.saved_chats.held_rows import held_rows
from qwen_app.saved_chats.open_links import OpenLinks
from qwen_app.saved_chats.tables import chats, messages
from qwen_app.saved_chats.values import (
    LIMIT_TITLE_CHARS,
    ChatLimits,
    ChatSummary,
    Json,
    SavedChat,
    SavedMessage,
    TitleSource,
)
from qwen_app.searched_text.folding import folded

UNDO_S = 3600.0  # how long a deleted chat can be had back
LISTED = 500  # chats in one answer of the list; a search finds the others
_DAY_S = 86_400.0
_NOT_STORED = re.compile("[\x00\ud800-\udfff]")  # PostgreSQL takes no NUL, UTF-8 no lone surrogate
_FOLDABLE = Text().with_variant(LargeBinary(), "sqlite")  # what ``lower`` takes there of text that is damaged too
_MESSAGE_BYTES = 200  # of a row beside its texts
Clock = Callable[[], float]

_TOO_MANY = "You have {number:,} saved chats, as many as are kept. Delete some, and this chat is saved too."
_TOO_LARGE = "Your saved chats hold {size:,} MiB, as much as is kept. Delete some, and this chat is saved too."
_FULL = "The server keeps as many chats as it can just now. This one is not saved."
_FULL_OF = {
    GUESTS: "All guests together have as much saved here as they may. This chat is not saved.",
    BROWSERS: "All browsers without a login together have as much saved here as they may. This chat is not saved.",
}


class ChatStore:
    """Chats in the database behind ``engine``; ``links`` are told of chats that are gone, for links to them are too."""

    def __init__(
        self,
        engine: Engine,
        limits: ChatLimits | None = None,
        clock: Clock = time.time,
        links: OpenLinks | None = None,
    ) -> None:
        self.engine = engine
        self._links = links or OpenLinks(engine)
        self.limits = limits or ChatLimits()
        self._clock = clock

    def listed(self, owner: str, search: str = "") -> list[ChatSummary]:
        """The newest first, pinned ones before them; with ``search``, those that hold it in title or text."""
        wanted = _own(owner)
        if search.strip():
            ways = _ways(search, self.engine)
            in_a_message = exists().where(messages.c.chat_id == chats.c.id, _contains(messages.c.content, ways))
            wanted = and_(wanted, or_(_contains(chats.c.title, ways), in_a_message))
        order = (chats.c.pinned.desc(), chats.c.updated_at.desc())
        with self.engine.connect() as connection:
            rows = connection.execute(select(chats).where(wanted).order_by(*order).limit(LISTED))
            return [_summary(row._mapping) for row in rows]

    def load(self, owner: str, chat_id: str) -> SavedChat | None:
        """The whole chat; None where there is none of the owner's."""
        with self.engine.connect() as connection:
            row = connection.execute(select(chats).where(_own(owner), chats.c.id == chat_id)).one_or_none()
            return None if row is None else whole_chat(connection, row._mapping)

    def holds(self, owner: str, chat_id: str) -> bool:
        """Whether the owner has such a chat, and has not deleted it."""
        with self.engine.connect() as connection:
            return connection.execute(select(chats.c.id).where(_own(owner), chats.c.id == chat_id)).first() is not None

    def save(self, owner: str, chat: SavedChat, *, new: bool = True) -> bool:
        """Write the messages of ``chat`` as they are now, and its head; what is saved of it beside them stays.

        With ``new``, a chat that is not there yet begins; else False says that it is not there any more. A question
        that is new to a deleted chat, asked in a tab that still showed it, brings it back; the end of an answer does
        not. Raises TooManyRequests where the owner's limits leave no room for more, ServerFull where others' chats do.
        """
        came_back = False
        with self.engine.begin() as connection:
            saved = self._touch(connection, owner, chat)
            if not saved and not new:
                return False
            there = _there(connection, chat) if saved else set()
            added = [message for message in chat.messages if message.id not in there]
            if added or not saved:
                self._check_room(connection, owner, one_more=not saved)
            if not saved:
                connection.execute(insert(chats).values(**self._new_row(owner, chat)))
            for message in chat.messages:
                if message.id in there and message.role == "assistant":  # a question stays as it was asked
                    row = update(messages).where(messages.c.id == message.id, messages.c.chat_id == chat.summary.id)
                    connection.execute(row.values(**_row(message)))
            if added:
                connection.execute(insert(messages), [self._new_message(chat, message) for message in added])
            _note_size(connection, chat.summary.id)
            if saved and any(message.role == "user" for message in added):
                came_back = connection.execute(_taking_back(owner, chat.summary.id)).rowcount > 0
        if came_back:
            self._links.note()
        return True

    def change_setting(self, owner: str, chat_id: str, message_id: str, name: str, value: object) -> bool:
        """Whether there is such a message, whose settings then have this ``value``; None takes it out."""
        wanted = and_(messages.c.id == message_id, messages.c.chat_id == chat_id)
        with self.engine.begin() as connection:
            if connection.execute(select(chats.c.id).where(_own(owner), chats.c.id == chat_id)).first() is None:
                return False
            row = connection.execute(select(messages).where(wanted).with_for_update()).one_or_none()
            if row is None:
                return False
            message = _message(row._mapping)
            others = {known: old for known, old in message.settings.items() if known != name}
            changed = replace(message, settings=others if value is None else {**others, name: value})
            connection.execute(update(messages).where(wanted).values(**_row(changed)))
            _note_size(connection, chat_id)
            return True

    def rename(self, owner: str, chat_id: str, title: str, titled_by: TitleSource) -> bool:
        """Whether there is such a chat. A title of a person's is kept against a model's."""
        wanted = and_(_own(owner), chats.c.id == chat_id)
        if titled_by == "model":
            wanted = and_(wanted, chats.c.titled_by == "question")
        return self._change(wanted, title=clean_title(title), titled_by=titled_by)

    def pin(self, owner: str, chat_id: str, pinned: bool) -> bool:
        return self._change(and_(_own(owner), chats.c.id == chat_id), pinned=pinned)

    def delete(self, owner: str, chat_id: str) -> bool:
        """Hide the chat; it is gone for good UNDO_S seconds later."""
        found = self._change(and_(_own(owner), chats.c.id == chat_id), deleted_at=self._clock())
        self._links.note()
        return found

    def restore(self, owner: str, chat_id: str) -> bool:
        """Take ``delete`` back."""
        with self.engine.begin() as connection:
            found = connection.execute(_taking_back(owner, chat_id)).rowcount > 0
        self._links.note()
        return found

    def delete_all(self, owner: str) -> int:
        """Everything of the owner's, at once and for good; how many chats there were."""
        with self.engine.begin() as connection:
            gone = connection.execute(delete(chats).where(chats.c.owner == owner)).rowcount
        self._links.note()
        return gone

    def purge(self) -> int:
        """Delete what is past its undo or its retention; how many chats."""
        now = self._clock()
        past = and_(chats.c.deleted_at.is_not(None), chats.c.deleted_at < now - UNDO_S)
        if self.limits.days:
            past = or_(past, and_(chats.c.pinned.is_(False), chats.c.updated_at < now - self.limits.days * _DAY_S))
        with self.engine.begin() as connection:
            gone = connection.execute(delete(chats).where(past)).rowcount
        self._links.note()
        return gone

    def _change(self, wanted: ColumnElement[bool], **values: object) -> bool:
        with self.engine.begin() as connection:
            return connection.execute(update(chats).where(wanted).values(**values)).rowcount > 0

    def _touch(self, connection: Connection, owner: str, chat: SavedChat) -> bool:
        """Note the head and the time; False where the chat is not saved yet."""
        wanted = and_(chats.c.owner == owner, chats.c.id == chat.summary.id)
        moved = update(chats).where(wanted).values(head_id=chat.head_id, updated_at=self._clock())
        return connection.execute(moved).rowcount > 0

    def _check_room(self, connection: Connection, owner: str, *, one_more: bool) -> None:
        limits, own = self.limits, select(func.count()).where(chats.c.owner == owner)
        if connection.execute(own).scalar_one() + one_more > limits.chats:
            raise TooManyRequests(_TOO_MANY.format(number=limits.chats))
        held = held_rows(connection, owner, chats.c.owner, chats.c.bytes)
        if held.own >= limits.bytes_per_user:
            raise TooManyRequests(_TOO_LARGE.format(size=limits.bytes_per_user // 2**20))
        if not has_room(1, held, limits.bytes_in_all):
            raise ServerFull(_FULL_OF.get(crowd_of(owner), _FULL))

    def _new_row(self, owner: str, chat: SavedChat) -> dict[str, object]:
        summary, now = chat.summary, self._clock()
        return {
            "id": summary.id,
            "owner": owner,
            "title": clean_title(summary.title),
            "titled_by": summary.titled_by,
            "pinned": summary.pinned,
            "head_id": chat.head_id,
            "bytes": 0,
            "created_at": now,
            "updated_at": now,
        }

    def _new_message(self, chat: SavedChat, message: SavedMessage) -> dict[str, object]:
        placed = {"id": message.id, "chat_id": chat.summary.id, "parent_id": message.parent_id, "role": message.role}
        return placed | {"created_at": message.created_at or self._clock()} | _row(message)


def whole_chat(connection: Connection, row: RowMapping) -> SavedChat:
    """The chat of a row of ``chats``, with its messages. Where its head was lost to damage, the last one is it."""
    found = connection.execute(select(messages).where(messages.c.chat_id == row["id"]).order_by(messages.c.number))
    kept, head_id = tuple(_message(entry._mapping) for entry in found), row["head_id"]
    if kept and head_id not in {message.id for message in kept}:
        head_id = kept[-1].id
    return SavedChat(_summary(row), kept, head_id)


def clean_title(title: str) -> str:
    """One line of a length that a list can show."""
    return _stored(" ".join(title.split()))[:LIMIT_TITLE_CHARS] or "…"


def _taking_back(owner: str, chat_id: str) -> Update:
    wanted = and_(chats.c.owner == owner, chats.c.id == chat_id, chats.c.deleted_at.is_not(None))
    return update(chats).where(wanted).values(deleted_at=None)


def _own(owner: str) -> ColumnElement[bool]:
    return and_(chats.c.owner == owner, chats.c.deleted_at.is_(None))


def _ways(search: str, engine: Engine) -> set[str]:
    """How what is looked for may be written: folded, as SQLite's ``lower`` folds the texts. PostgreSQL's knows
    capitals alone, so that there it is looked for as it is typed too."""
    typed = _stored(search.strip())
    return {folded(typed)} if engine.dialect.name == "sqlite" else {folded(typed), typed}


def _contains(column: Column[str], ways: set[str]) -> ColumnElement[bool]:
    text = type_coerce(cast(column, _FOLDABLE), Text)
    return or_(*(text.icontains(way, autoescape=True) for way in ways))


def _there(connection: Connection, chat: SavedChat) -> set[str]:
    ids = [message.id for message in chat.messages]
    found = select(messages.c.id).where(messages.c.chat_id == chat.summary.id, messages.c.id.in_(ids))
    return set(connection.scalars(found))


def _note_size(connection: Connection, chat_id: str) -> None:
    size = select(func.coalesce(func.sum(messages.c.bytes), 0)).where(messages.c.chat_id == chat_id)
    connection.execute(update(chats).where(chats.c.id == chat_id).values(bytes=size.scalar_subquery()))


def _row(message: SavedMessage) -> dict[str, object]:
    """What of a message may change while its answer is written."""
    texts = {
        "content": _stored(message.content),
        "settings": _stored(json.dumps(message.settings, ensure_ascii=False)),
        "run": _stored(json.dumps(message.run, ensure_ascii=False)),
    }
    size = _MESSAGE_BYTES + sum(len(text.encode()) for text in texts.values())
    return {**texts, "state": message.state, "bytes": size}


def _stored(text: str) -> str:
    return _NOT_STORED.sub("\ufffd", text)


def _summary(row: RowMapping) -> ChatSummary:
    return ChatSummary(
        id=row["id"],
        title=row["title"],
        titled_by=row["titled_by"],
        pinned=row["pinned"],
        updated_at=row["updated_at"],
    )


def _message(row: RowMapping) -> SavedMessage:
    return SavedMessage(
        id=row["id"],
        parent_id=row["parent_id"],
        role=row["role"],
        content=row["content"],
        state=row["state"],
        settings=_json(row["settings"]),
        run=_json(row["run"]),
        created_at=row["created_at"],
    )


def _json(text: str) -> Json:
    """What was written; nothing where damage left no JSON of it."""
    with suppress(ValueError, TypeError, RecursionError):
        if isinstance(value := json.loads(text), dict):
            return value
    return {}
