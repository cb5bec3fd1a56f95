"""What could not be saved for a while is saved whole later; until then the page says why."""

from __future__ import annotations

import pytest

from qwen_app.saved_chats.saved_chats import SavedChats, chats_in_memory
from qwen_app.ui.conversations.conversation import Conversation, answer, ask
from qwen_app.ui.conversations.open_chat import OpenChat
from qwen_app.ui.conversations.saved_form import conversation_of
from qwen_app.ui.conversations.turn_saver import TurnSaver
from qwen_app.ui.shared.run_line import Run

pytestmark = pytest.mark.anyio
UNBOUNDED_PAGES = 2**30


async def said(saved: SavedChats, chat: OpenChat, question: str) -> None:
    """A turn that is over, saved as far as it can be."""
    asked = ask(chat.conversation, question, json_mode=False)
    chat.conversation = answer(asked, "word " * 2_000, Run("stop"))
    await TurnSaver(saved, chat, chat.conversation.last.id).save()


def pages(saved: SavedChats, most: int) -> None:
    """Let the database have no more than so many pages; 0: no more than it has."""
    with saved.chats.engine.connect() as connection:
        connection.exec_driver_sql(f"PRAGMA max_page_count = {most or 1}")


async def test_turns_that_met_a_full_disk_are_saved_with_a_later_one() -> None:
    saved, chat = chats_in_memory(), OpenChat(owner="ada")
    await said(saved, chat, "before")
    assert (chat.stored, chat.not_saved) == (True, "")
    pages(saved, 0)
    for question in ("while", "still"):
        await said(saved, chat, question)
        assert chat.not_saved == "not_saved_disk"
    pages(saved, UNBOUNDED_PAGES)
    await said(saved, chat, "after")
    assert chat.not_saved == ""
    found = saved.chats.load("ada", chat.conversation.id)
    assert found is not None
    assert [turn.question for turn in conversation_of(found).turns] == ["before", "while", "still", "after"]


async def test_a_chat_that_was_never_saved_begins_whole() -> None:
    saved, chat = chats_in_memory(), OpenChat(conversation=Conversation(), owner="ada")
    pages(saved, 0)
    await said(saved, chat, "first")
    assert (chat.stored, chat.not_saved) == (False, "not_saved_disk")
    pages(saved, UNBOUNDED_PAGES)
    await said(saved, chat, "second")
    found = saved.chats.load("ada", chat.conversation.id)
    assert found is not None
    assert [turn.question for turn in conversation_of(found).turns] == ["first", "second"]
