"""What somebody typed is never lost: where it cannot be asked it is in the composer again, or waits above it."""

from __future__ import annotations

import asyncio
import dataclasses
import gc
from collections.abc import AsyncGenerator

import pytest

from qwen_app.documents.document import Document, Section
from qwen_app.documents.document_store import DocumentStore
from qwen_app.saved_chats.saved_chats import chats_in_memory
from qwen_app.service import Service
from qwen_app.testing.scripted_engine import Script, ScriptedEngine
from qwen_app.ui.chat.actions import ChatActions
from qwen_app.ui.chat.answer_actions import AnswerActions
from qwen_app.ui.chat.session import ChatSession
from qwen_app.ui.chat.view import ChatView
from qwen_app.ui.conversations.answering import Answering
from qwen_app.ui.conversations.choices import Choices
from qwen_app.ui.conversations.conversation import variants
from qwen_app.ui.conversations.open_chat import OpenChats
from qwen_app.ui.conversations.turn_saver import SAVE_EVERY_S
from qwen_app.ui.documents.attaching import Attaching, with_document

pytestmark = pytest.mark.anyio
CHOICES = Choices(system="", temperature=0, top_p=1, max_tokens=64, context_tokens=512, seed=None, json_mode=False)
SLOW = Script(text=("word ",) * 10_000, token_s=0.005)
TOO_LONG = "long " * 600


class Tab:
    """A tab of ada's on a server of its own, with room for 448 tokens of a prompt."""

    def __init__(self, script: Script = Script()) -> None:  # noqa: B008 (frozen)
        self.engine, self.store, saved = ScriptedEngine(script, context_tokens=512), DocumentStore(), chats_in_memory()
        self.service = Service(self.engine)
        self.attaching = Attaching(self.service, self.store)
        self.actions = ChatActions(
            self.service, Answering(self.service, saved), OpenChats(saved), Attaching(self.service, self.store)
        )
        self.session = self.opened()

    def opened(self) -> ChatSession:
        return ChatSession(owner="ada", uploader="ada")

    def send(self, text: str) -> AsyncGenerator[ChatView, None]:
        return self.actions.send(self.session, text, CHOICES, "ada")

    def edit(self, number: int, text: str) -> AsyncGenerator[ChatView, None]:
        return self.actions.edit(self.session, 2 * number, text, CHOICES, "ada")

    def take_back(self, number: int, what: str) -> AsyncGenerator[ChatView, None]:
        return self.actions.take_back(self.session, self.session.chat.waiting[number].id, CHOICES, what)

    async def attach(self, name: str, text: str = "text") -> None:
        kept = self.store.keep("ada", Document(name, "txt", (Section("lines", 1, 1, text),)))
        attached = await self.attaching.attached(kept.id, "ada")
        self.session.attached = with_document(self.session.attached, attached)

    @property
    def attached(self) -> list[str]:
        return [document.name for document in self.session.attached]

    @property
    def waiting(self) -> list[tuple[str, list[str]]]:
        waiting = self.session.chat.waiting
        return [(message.text, [part.document.name for part in message.documents]) for message in waiting]

    @property
    def questions(self) -> list[str]:
        return [turn.question for turn in self.session.conversation.turns]


async def all_of(views: AsyncGenerator[ChatView, None]) -> list[ChatView]:
    return [view async for view in views]


async def forgotten() -> None:
    """Until nothing holds on to what nobody needs, as the saving of an answer does."""
    await asyncio.sleep(SAVE_EVERY_S + 0.1)
    gc.collect()


def drafts(views: list[ChatView]) -> list[str]:
    return [view.draft for view in views if view.draft is not None]


async def test_sending_a_waiting_message_leaves_the_composer_alone() -> None:
    tab = Tab(SLOW)
    await anext(first := tab.send("one"))
    await all_of(tab.send("two"))
    await tab.attach("next.txt")
    tab.engine.script = Script()
    views = await all_of(tab.take_back(0, "now"))
    await all_of(first)
    assert (tab.questions, drafts(views), tab.attached) == (["one", "two"], [], ["next.txt"])


async def test_a_question_nobody_typed_leaves_the_composer_alone() -> None:
    tab = Tab()
    await tab.attach("next.txt")
    views = await all_of(tab.actions.ask(tab.session, "What is the capital of Japan?", CHOICES, "ada"))
    assert (drafts(views), tab.attached, tab.session.conversation.last.documents) == ([], ["next.txt"], ())


async def test_an_edit_that_cannot_be_asked_waits_and_is_still_an_edit() -> None:
    tab = Tab()
    for question in ("one", "two"):
        await all_of(tab.send(question))
    await tab.attach("next.txt")
    views = await all_of(tab.edit(0, TOO_LONG))
    assert "needs 604 tokens" in str(views[-1].notice)
    assert views[-1].shown is not None
    assert [text for _, text in views[-1].shown.waiting] == [TOO_LONG.strip("\n")]
    assert (tab.questions, drafts(views), tab.attached) == (["one", "two"], [], ["next.txt"])
    tab.session.chat.take(tab.session.chat.waiting[0].id)
    tab.service.stage.pause("presenter")
    await all_of(tab.edit(0, "one, in other words"))
    tab.service.stage.resume()
    assert tab.waiting == [("one, in other words", [])]
    await all_of(tab.take_back(0, "now"))
    assert (tab.questions, tab.waiting) == (["one, in other words"], [])


async def test_an_edit_while_an_answer_is_written_waits_for_its_end() -> None:
    tab = Tab()
    await all_of(tab.send("one"))
    tab.engine.script = Script(text=("word ",) * 20, token_s=0.01)
    views = tab.send("two")
    await anext(views)
    await all_of(tab.edit(0, "one, in other words"))
    assert tab.waiting == [("one, in other words", [])]
    await all_of(views)
    assert tab.questions == ["one, in other words"]
    assert [turn.question for turn in tab.session.conversation.others] == ["one", "two"]


async def test_a_message_that_is_to_be_asked_now_is_asked_or_waits_when_its_tab_is_closed() -> None:
    tab = Tab(SLOW)
    await anext(first := tab.send("one"))
    await all_of(tab.send("two"))
    tab.engine.script = Script()
    asking = tab.take_back(0, "now")
    await anext(asking)
    await asking.aclose()
    await all_of(first)
    assert (tab.questions, tab.waiting) == (["one", "two"], [])


async def test_an_answer_that_cannot_be_gone_on_with_asks_nothing_that_waits() -> None:
    tab = Tab(Script(reason="length"))
    await all_of(tab.send("one"))
    await all_of(tab.edit(0, TOO_LONG))
    tab.service.stage.pause("presenter")
    views = await all_of(AnswerActions(tab.actions).go_on(tab.session, CHOICES, "ada"))
    refusal = tab.session.chat.refusal
    assert refusal is not None
    assert (refusal.message, tab.questions, len(tab.waiting)) == (None, ["one"], 1)
    assert views[-1].notice


async def test_what_is_pinned_while_a_question_is_refused_stays_pinned() -> None:
    tab = Tab()
    await all_of(tab.send("one"))
    await anext(views := tab.send(TOO_LONG))
    await tab.actions.hold(tab.session, 0, "pinned")
    await all_of(views)
    assert [(turn.question, turn.hold) for turn in tab.session.conversation.turns] == [("one", "pinned")]


async def test_two_edits_of_a_question_that_wait_are_both_asked_in_its_place() -> None:
    tab = Tab()
    await all_of(tab.send("one"))
    tab.engine.script = Script(text=("word ",) * 20, token_s=0.01)
    await anext(views := tab.send("two"))
    await all_of(tab.edit(0, "one, in other words"))
    await all_of(tab.edit(0, "one, in still other words"))
    await all_of(views)
    assert (len(tab.questions), tab.waiting) == (1, [])
    assert len(variants(tab.session.conversation, 0)) == 3


@pytest.mark.parametrize("reloaded", [False, True])
async def test_a_waiting_message_that_cannot_be_asked_waits_on_with_its_documents(reloaded: bool) -> None:
    tab = Tab(Script(text=("word ",) * 20, token_s=0.01))
    first = asyncio.create_task(all_of(tab.send("one")))
    await asyncio.sleep(0.05)
    await tab.attach("book.txt", TOO_LONG)
    await all_of(tab.send("What does it say?"))
    await all_of(tab.send("three"))
    await first
    if reloaded:
        address, tab.session = tab.session.chat.address, tab.opened()
        await all_of(tab.actions.open(tab.session, address, CHOICES))
    assert tab.questions == ["one"]
    assert (tab.waiting, tab.attached) == ([("What does it say?", ["book.txt"]), ("three", [])], [])
    (taken, documents) = await all_of(tab.take_back(0, "edit"))
    assert taken.shown is not None
    assert [text for _, text in taken.shown.waiting] == ["three"]
    assert "book.txt" in str(documents.documents)
    assert tab.attached == ["book.txt"]


async def test_a_waiting_message_with_wrong_settings_waits_on() -> None:
    tab = Tab(SLOW)
    await anext(first := tab.send("one"))
    wrong = dataclasses.replace(CHOICES, problem="bad_seed")
    await all_of(tab.actions.send(tab.session, "two", wrong, "ada"))
    views = await all_of(tab.take_back(0, "now"))
    await all_of(first)
    assert "The seed must be a whole number" in str(views[-1].notice)
    assert (tab.waiting, drafts(views)) == ([("two", [])], [])


async def test_what_was_composed_and_cannot_be_asked_is_in_the_composer_and_waits_nowhere() -> None:
    tab = Tab()
    await all_of(tab.send("first"))
    await tab.attach("book.txt", TOO_LONG)
    views = await all_of(tab.send("What does it say?"))
    assert (drafts(views), tab.attached, tab.waiting) == (["", "What does it say?"], ["book.txt"], [])
    assert tab.questions == ["first"]


async def test_undo_brings_documents_beside_those_that_wait_in_the_composer() -> None:
    tab = Tab()
    await tab.attach("a.txt")
    await all_of(tab.send("one"))
    await tab.attach("b.txt")
    await tab.actions.undo(tab.session, CHOICES)
    assert tab.attached == ["a.txt", "b.txt"]


@pytest.mark.parametrize("by", ["new", "other"])
async def test_what_waits_in_a_chat_that_was_left_is_there_when_it_is_opened_again(by: str) -> None:
    tab = Tab()
    await all_of(tab.send("other"))
    other = tab.session.chat.address
    await tab.actions.clear(tab.session, CHOICES)
    await all_of(tab.send("one"))
    await all_of(tab.edit(0, TOO_LONG))
    left = tab.session.chat.address
    if by == "new":
        await tab.actions.clear(tab.session, CHOICES)
    else:
        await all_of(tab.actions.open(tab.session, other, CHOICES))
    await forgotten()
    assert tab.waiting == []
    await all_of(tab.actions.open(tab.session, left, CHOICES))
    assert (tab.questions, tab.waiting) == (["one"], [(TOO_LONG, [])])


async def test_a_question_that_turns_out_to_be_refused_once_its_tab_shows_another_chat_waits_there() -> None:
    tab = Tab()
    await all_of(tab.send("one"))
    left = tab.session.chat.address
    sending = tab.send(TOO_LONG)
    await anext(sending)
    live = tab.session.chat.live
    await tab.actions.clear(tab.session, CHOICES)
    await sending.aclose()
    if live is not None:
        await live.ended()
    del sending, live
    await forgotten()
    await all_of(tab.actions.open(tab.session, left, CHOICES))
    assert (tab.questions, tab.waiting) == (["one"], [(TOO_LONG, [])])
