"""What a newer wish has overtaken is not shown, however late it comes: another chat, the lens, documents."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from dataclasses import dataclass, field

import pytest

from qwen_app.documents.document import Document, Section
from qwen_app.documents.document_store import DocumentStore
from qwen_app.messages import PLAIN_TEMPLATE, Message, TemplateOptions, Tool
from qwen_app.saved_chats.saved_chats import chats_in_memory
from qwen_app.service import Service
from qwen_app.testing.scripted_engine import Script, ScriptedEngine
from qwen_app.ui.chat.actions import ChatActions
from qwen_app.ui.chat.document_commands import DocumentCommands
from qwen_app.ui.chat.replaying import Replaying
from qwen_app.ui.chat.session import ChatSession
from qwen_app.ui.chat.view import ChatView
from qwen_app.ui.conversations.answering import Answering
from qwen_app.ui.conversations.choices import Choices
from qwen_app.ui.conversations.open_chat import OpenChat, OpenChats
from qwen_app.ui.conversations.saved_form import conversation_of
from qwen_app.ui.documents.attaching import Attaching

pytestmark = pytest.mark.anyio
CHOICES = Choices(system="", temperature=0, top_p=1, max_tokens=64, context_tokens=2048, seed=None, json_mode=False)


@dataclass(slots=True)
class Held:
    """Lets those wait whom ``holds`` names, until ``let_go``."""

    holds: str = "nobody"
    waiting: asyncio.Event = field(default_factory=asyncio.Event)
    gone: asyncio.Event = field(default_factory=asyncio.Event)

    async def passes(self, name: str) -> None:
        if self.holds in name:
            self.waiting.set()
            await self.gone.wait()

    def let_go(self) -> None:
        self.gone.set()


class HeldEngine(ScriptedEngine):
    held = Held()

    async def count_tokens(
        self,
        prompts: Sequence[Sequence[Message]],
        tools: Sequence[Tool] = (),
        template: TemplateOptions = PLAIN_TEMPLATE,
    ) -> list[int]:
        await self.held.passes(" ".join(message.content for prompt in prompts for message in prompt))
        return await super().count_tokens(prompts, tools, template)

    async def tokenize(self, text: str, *, parse_special: bool = True, add_special_tokens: bool = False) -> list[int]:
        await self.held.passes(text)
        return await super().tokenize(text, parse_special=parse_special, add_special_tokens=add_special_tokens)


class HeldChats(OpenChats):
    held = Held()

    async def find(self, owner: str, chat_id: str) -> OpenChat | None:
        await self.held.passes(chat_id)
        return await super().find(owner, chat_id)


class Page:
    """A tab of ada's, with two saved chats: "one" and "two"."""

    def __init__(self) -> None:
        self.engine, self.saved, self.store = HeldEngine(Script()), chats_in_memory(), DocumentStore()
        self.engine.held = self.counting = Held()
        self.session = ChatSession(owner="ada", uploader="ada")
        self.start()

    def start(self) -> None:
        """A server that knows no sizes yet."""
        service, self.chats = Service(self.engine), HeldChats(self.saved)
        self.chats.held = self.finding = Held()
        self.actions = ChatActions(service, Answering(service, self.saved), self.chats, Attaching(service, self.store))
        self.documents = DocumentCommands(self.actions)

    async def asked(self, question: str) -> str:
        """The id of a new chat with this question."""
        await self.actions.clear(self.session, CHOICES)
        await all_of(self.actions.send(self.session, question, CHOICES, "ada"))
        return self.session.chat.address

    @property
    def questions(self) -> list[str]:
        return [turn.question for turn in self.session.conversation.turns]

    def uploaded(self, name: str) -> dict[str, str]:
        return {"id": self.store.keep("ada", Document(name, "txt", (Section("lines", 1, 1, name),))).id}


async def all_of(views: AsyncGenerator[ChatView, None]) -> list[ChatView]:
    return [view async for view in views]


Wish = Callable[[Page, str], Coroutine[None, None, object]]


async def opened(page: Page, chat_id: str) -> object:
    return await all_of(page.actions.open(page.session, chat_id, CHOICES))


async def new(page: Page, _: str) -> object:
    return await page.actions.clear(page.session, CHOICES)


async def replayed(page: Page, chat_id: str) -> object:
    replaying = Replaying(page.actions, page.chats)
    return await all_of(replaying.begin(page.session, {"id": chat_id}, CHOICES, "ada"))


@pytest.mark.parametrize("first", [opened, replayed])
@pytest.mark.parametrize(("then", "shown"), [(opened, ["two"]), (new, [])])
async def test_the_chat_that_was_asked_for_last_is_shown(first: Wish, then: Wish, shown: list[str]) -> None:
    page = Page()
    one, two = await page.asked("one"), await page.asked("two")
    page.finding.holds = one
    slow = asyncio.create_task(first(page, one))
    await page.finding.waiting.wait()
    await then(page, two)
    page.finding.let_go()
    await slow
    assert page.questions == shown


async def test_a_chat_that_was_left_while_it_was_measured_draws_nothing_of_its_own() -> None:
    page = Page()
    one, two = await page.asked("one"), await page.asked("two")
    page.start()
    page.counting.holds = "one"
    slow = asyncio.create_task(all_of(page.actions.open(page.session, one, CHOICES)))
    await page.counting.waiting.wait()
    newer = await all_of(page.actions.open(page.session, two, CHOICES))
    page.counting.let_go()
    late = await slow
    assert late[-1].messages == newer[-1].messages
    assert {view.meter for view in late} == {None}
    assert {view.shown.id for view in late if view.shown} <= {two}


async def test_the_lens_of_an_older_draft_does_not_come_after_that_of_a_newer() -> None:
    page = Page()
    page.counting.holds = "older"
    older = asyncio.create_task(page.actions.measure(page.session, "an older draft", CHOICES))
    await page.counting.waiting.wait()
    assert await page.actions.measure(page.session, "a newer one", CHOICES)
    page.counting.let_go()
    assert await older is None


async def test_a_document_that_takes_long_to_count_takes_the_others_not_away() -> None:
    page = Page()
    page.counting.holds = "long"
    slow = page.documents.attach(page.session, page.uploaded("long"), CHOICES, "ada")
    task = asyncio.create_task(all_of(slow))
    await page.counting.waiting.wait()
    await all_of(page.documents.attach(page.session, page.uploaded("short"), CHOICES, "ada"))
    page.counting.let_go()
    await task
    assert [one.name for one in page.session.attached] == ["short", "long"]


async def test_of_pages_chosen_one_after_the_other_the_last_are_sent() -> None:
    page = Page()
    document = page.uploaded("book")
    await all_of(page.documents.attach(page.session, document, CHOICES, "ada"))
    page.counting.holds = "book"
    older = page.documents.choose_pages(page.session, document | {"pages": "1"}, CHOICES, "ada")
    first = asyncio.create_task(all_of(older))
    await page.counting.waiting.wait()
    page.counting.holds = "nobody"
    newer = page.documents.choose_pages(page.session, document | {"pages": "1-2"}, CHOICES, "ada")
    second = asyncio.create_task(all_of(newer))
    for _ in range(100):  # it would be there by now
        await asyncio.sleep(0)
    page.counting.let_go()
    await asyncio.gather(first, second)
    assert [one.pages for one in page.session.attached] == ["1-2"]


async def test_pages_of_a_document_that_was_sent_meanwhile_are_not_attached_again() -> None:
    page = Page()
    document = page.uploaded("book")
    await all_of(page.documents.attach(page.session, document, CHOICES, "ada"))
    page.counting.holds = "book"
    pages = page.documents.choose_pages(page.session, document | {"pages": "1"}, CHOICES, "ada")
    task = asyncio.create_task(all_of(pages))
    await page.counting.waiting.wait()
    page.session.attached = ()
    page.counting.let_go()
    await task
    assert page.session.attached == ()


async def test_a_message_sent_at_once_stays_with_its_chat() -> None:
    """Another chat is opened while the answer before it is being ended."""
    page = Page()
    two = await page.asked("two")
    await page.actions.clear(page.session, CHOICES)
    page.engine.script = Script(text=("word ",) * 10_000, token_s=0.005)
    views = page.actions.send(page.session, "one", CHOICES, "ada")
    await anext(views)
    chat = page.session.chat
    await all_of(page.actions.send(page.session, "now", CHOICES, "ada"))
    (message,) = chat.waiting
    other = await page.chats.find("ada", two) or OpenChat()
    sending = asyncio.create_task(all_of(page.actions.take_back(page.session, message.id, CHOICES, "now")))
    await asyncio.sleep(0)
    page.session.chat = other
    await sending
    await all_of(views)
    assert page.questions == ["two"]
    assert [one.text for one in chat.waiting] == ["now"]


async def test_documents_that_were_sent_meanwhile_do_not_come_back() -> None:
    page = Page()
    await all_of(page.documents.attach(page.session, page.uploaded("book"), CHOICES, "ada"))
    page.counting.holds = "a draft"
    look = asyncio.create_task(page.actions.look(page.session, "a draft", CHOICES))
    await page.counting.waiting.wait()
    await all_of(page.actions.send(page.session, "what is in it?", CHOICES, "ada"))
    page.counting.let_go()
    assert await look == ChatView()
    assert (await page.actions.look(page.session, "", CHOICES)).meter


async def replay_of(page: Page, chat_id: str) -> AsyncGenerator[ChatView, None]:
    """The rest of a replay whose first answer is being drawn."""
    views = Replaying(page.actions, page.chats).begin(page.session, {"id": chat_id}, CHOICES, "ada")
    async for view in views:
        if view.live:
            break
    return views


async def test_a_replay_that_nobody_watches_any_more_leaves_the_chat_as_it_is() -> None:
    page = Page()
    page.engine.script = Script(text=("word ",) * 20, token_s=0.01)
    one = await page.asked("one")
    await (await replay_of(page, one)).aclose()
    await all_of(page.actions.send(page.session, "two", CHOICES, "ada"))
    saved = page.saved.chats.load("ada", one)
    assert saved is not None
    assert [(turn.question, turn.answer) for turn in conversation_of(saved).turns] == [
        ("one", "word " * 20),
        ("two", "word " * 20),
    ]


async def test_an_edit_while_a_replay_runs_waits_in_the_chat_itself() -> None:
    page = Page()
    page.engine.script = Script(text=("word ",) * 20, token_s=0.01)
    views = await replay_of(page, await page.asked("one"))
    await all_of(page.actions.edit(page.session, 0, "one, in other words", CHOICES, "ada"))
    page.session.stop()
    await all_of(views)
    assert [message.text for message in page.session.chat.waiting] == ["one, in other words"]
    await all_of(page.actions.take_back(page.session, page.session.chat.waiting[0].id, CHOICES, "now"))
    assert page.questions == ["one, in other words"]
