"""Turns on their way into the database, while their answers are written."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import SQLAlchemyError

from qwen_app.errors import AppError, ServerFull
from qwen_app.saved_chats.integrity import cannot_write
from qwen_app.saved_chats.saved_chats import SavedChats
from qwen_app.ui.conversations.conversation import Turn, turn_named
from qwen_app.ui.conversations.open_chat import OpenChat
from qwen_app.ui.conversations.saved_form import HOLD, saved_turns

log = logging.getLogger(__name__)

SAVE_EVERY_S = 0.5  # what is lost when the process is killed


class TurnSaver:
    """Writes one turn of a chat, as often as it is worth it, and never an older state over a newer one."""

    def __init__(self, saved: SavedChats, chat: OpenChat, turn_id: str) -> None:
        self._saved = saved
        self._chat = chat
        self._turn_id = turn_id
        self._soon: asyncio.Task[None] | None = None

    def save_soon(self) -> None:
        if self._chat.owner and (self._soon is None or self._soon.done()):
            self._soon = asyncio.create_task(self._save_and_rest())

    async def _save_and_rest(self) -> None:
        await self.save()
        await asyncio.sleep(SAVE_EVERY_S)

    async def save(self, *turns: Turn) -> None:
        """The turn as it is now. A database that fails is told on the page; with the next turn all are tried again."""
        chat = self._chat
        async with chat.saving:
            turn = turn_named(chat.conversation, self._turn_id)
            found = turns or (() if turn is None else (turn,))
            if not chat.stored or chat.not_saved:
                found = (*chat.conversation.turns, *chat.conversation.others)
            if not chat.owner or not (found or chat.stored):
                return
            form = saved_turns(chat.conversation, *found)
            with _told_on(chat):
                kept = await self._saved.run(self._saved.chats.save, chat.owner, form, new=not chat.stored)
                chat.stored, chat.not_saved = kept, ""
                chat.owner = chat.owner if kept else ""  # it was deleted for good: what is said now is not kept


async def save_hold(saved: SavedChats, chat: OpenChat, turn: Turn) -> None:
    """Save whether the turn's question is sent again. In a chat that the database has not yet, it is saved with it."""
    async with chat.saving:
        if chat.owner and chat.stored:
            wanted = None if turn.hold == "auto" else turn.hold
            where = (chat.owner, chat.conversation.id, turn.question_id)
            with _told_on(chat):
                await saved.run(saved.chats.change_setting, *where, HOLD, wanted)


@contextmanager
def _told_on(chat: OpenChat) -> Iterator[None]:
    """Where the database fails, the page says that the chat is not saved."""
    try:
        yield
    except (AppError, SQLAlchemyError) as error:
        log.warning("a chat could not be saved: %s", type(error).__name__)
        chat.not_saved = _reason(error)


def _reason(error: AppError | SQLAlchemyError) -> str:
    """The name of the text that says why a chat is not saved."""
    if isinstance(error, ServerFull):
        return "not_saved_server_full"
    if isinstance(error, AppError):
        return "not_saved_full"
    return "not_saved_disk" if cannot_write(error) else "not_saved"
