"""A document that exceeds the context, sent to be read in parts: what the chat shows, saves, stops and goes on with."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator

import pytest

from qwen_app.documents.document import Document, Section
from qwen_app.documents.document_store import DocumentStore
from qwen_app.messages import GenerationRequest
from qwen_app.saved_chats.saved_chats import chats_in_memory
from qwen_app.service import Service
from qwen_app.summaries.values import DocumentSummary
from qwen_app.testing.scripted_engine import Script, ScriptedEngine
from qwen_app.ui.chat.actions import ChatActions
from qwen_app.ui.chat.answer_actions import AnswerActions
from qwen_app.ui.chat.session import ChatSession
from qwen_app.ui.chat.view import ChatView
from qwen_app.ui.conversations.answering import Answering
from qwen_app.ui.conversations.choices import Choices
from qwen_app.ui.conversations.open_chat import OpenChats
from qwen_app.ui.documents.attaching import Attaching

pytestmark = pytest.mark.anyio
CHOICES = Choices(system="", temperature=0, top_p=1, max_tokens=64, context_tokens=2048, seed=None, json_mode=False)
BOOK = Document("book.pdf", "pdf", tuple(Section("page", n, n, f"Page {n} says {n * 11}. " * 8) for n in range(1, 31)))


class Reader:
    """A session with the book in its composer. From part ``slow_from`` on, an answer takes an hour."""

    def __init__(self, slow_from: int = 99) -> None:
        self.slow_from = slow_from
        self.engine = ScriptedEngine(self._script, context_tokens=2048)
        self.service, self.saved = Service(self.engine), chats_in_memory()
        store = DocumentStore()
        self.attaching = Attaching(self.service, store)
        self.chats = OpenChats(self.saved)
        self.actions = ChatActions(self.service, Answering(self.service, self.saved), self.chats, self.attaching)
        self.session = ChatSession(owner="ada", uploader="ada")
        self.document_id = store.keep("ada", BOOK).id

    async def ask(self, question: str = "What is said?") -> AsyncGenerator[ChatView, None]:
        self.session.attached = (await self.attaching.attached(self.document_id, "ada"),)
        return self.actions.send(self.session, question, CHOICES, "ada", in_parts=True)

    def _script(self, request: GenerationRequest) -> Script:
        prompt = request.messages[-1].content
        part = re.search(r'<part number="(\d+)"', prompt)
        if part and int(part[1]) >= self.slow_from:
            return Script(("a", "b"), token_s=3600)
        return Script((f"note {part[1]} [page 2]",) if part else ("All ", "is ", "said [page 2]."))


async def all_of(views: AsyncGenerator[ChatView, None]) -> list[ChatView]:
    return [view async for view in views]


_NOTHING = DocumentSummary()


async def until_noted(reader: Reader, notes: int) -> None:
    async def look() -> None:
        while len((reader.session.conversation.last.summary or _NOTHING).notes) < notes:  # noqa: ASYNC110
            await asyncio.sleep(0.01)

    await asyncio.sleep(0)
    await asyncio.wait_for(look(), 20)


async def test_the_answer_is_an_ordinary_one_of_the_chat_with_its_notes() -> None:
    reader = Reader()
    views = await all_of(await reader.ask())
    turn = reader.session.conversation.last
    assert (turn.answer, turn.run and turn.run.reason) == ("All is said [page 2].", "stop")
    assert turn.summary
    assert turn.summary.parts == len(turn.summary.notes) > 2
    drawn = "".join(part["text"] for part in (views[-1].messages or [])[-1]["content"])
    assert f"Notes on {turn.summary.parts} parts" in drawn
    assert "note&#32;1" in drawn or "note 1" in drawn
    found = await OpenChats(reader.saved).find("ada", reader.session.conversation.id)
    assert found
    assert found.conversation.last.summary == turn.summary
    before = len(reader.engine.requests)
    await all_of(reader.actions.send(reader.session, "And then?", CHOICES, "ada"))
    (asked,) = reader.engine.requests[before:]  # the notes go along, the book does not
    assert "note 1 [page 2]" in asked.messages[0].content
    assert "Page 7 says 77" not in asked.messages[0].content


async def test_stop_ends_it_at_once_and_it_goes_on_from_its_notes() -> None:
    reader = Reader(slow_from=3)
    views = asyncio.create_task(all_of(await reader.ask()))
    await until_noted(reader, 2)
    reader.session.stop()
    last = (await asyncio.wait_for(views, 10))[-1]
    turn = reader.session.conversation.last
    assert (turn.answer, turn.run and turn.run.reason, len(turn.summary.notes if turn.summary else ())) == (
        "",
        "cancelled",
        2,
    )
    assert reader.engine.cancelled == 1
    drawn = "".join(part["text"] for part in (last.messages or [])[-1]["content"])
    assert "Notes on 2 of" in drawn
    assert 'name="go_on"' in drawn
    reader.slow_from, asked = 99, len(reader.engine.requests)
    await all_of(AnswerActions(reader.actions).go_on(reader.session, CHOICES, "ada"))
    assert reader.session.conversation.last.answer == "All is said [page 2]."
    assert 'number="3"' in reader.engine.requests[asked].messages[-1].content


async def test_a_question_of_which_no_part_can_be_asked_is_saved_nowhere() -> None:
    reader = Reader()
    reader.service.stage.pause("presenter")
    await all_of(await reader.ask())
    await asyncio.sleep(0.1)  # what is saved is saved beside the reading
    assert (reader.session.conversation.turns, reader.session.attached[0].name) == ((), "book.pdf")
    assert reader.saved.chats.listed("ada") == []


async def test_another_answer_is_made_of_the_same_notes() -> None:
    reader = Reader()
    await all_of(await reader.ask())
    asked = len(reader.engine.requests)
    await all_of(reader.actions.regenerate(reader.session, CHOICES, "ada"))
    assert len(reader.engine.requests) == asked + 1
    await all_of(reader.actions.edit(reader.session, 0, "What else?", CHOICES, "ada"))
    assert len(reader.engine.requests) > asked + 3  # read anew, for another question
    assert reader.session.conversation.last.question == "What else?"


async def test_progress_says_which_part_of_how_many_is_read() -> None:
    reader = Reader(slow_from=2)
    seen = ""
    async for view in await reader.ask():
        drawn = "".join(part["text"] for part in view.messages[-1]["content"]) if view.messages else ""
        seen = view.live or drawn or seen  # an answer is drawn apart once it is written
        if "Part 2 of" in seen:
            reader.session.stop()
            break
    assert re.search(r"Part 2 of \d+ \(pages \d+-\d+\)", seen)


async def test_it_waits_its_turn_while_another_answer_is_written() -> None:
    reader = Reader()
    await all_of(await reader.ask())
    views = reader.actions.regenerate(reader.session, CHOICES, "ada")
    await anext(views)
    assert reader.session.busy
    await all_of(await reader.ask("And what else?"))
    assert len(reader.session.chat.waiting) == 1
    await all_of(views)
    last = reader.session.conversation.last
    assert last.summary
    assert (len(reader.session.conversation.turns), last.answer) == (2, "All is said [page 2].")
