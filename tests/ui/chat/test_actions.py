"""The chat's actions without a browser: what the session holds after each, whatever happens in between."""

from __future__ import annotations

import asyncio
import dataclasses
import re
import threading
from collections.abc import AsyncGenerator, Sequence
from html import unescape

import pytest

from qwen_app.chat.json_hint import JSON_HINT
from qwen_app.errors import AppError, EngineError, EngineUnavailable, TextTooLong
from qwen_app.messages import PLAIN_TEMPLATE, Message, TemplateOptions, Tool
from qwen_app.saved_chats.saved_chats import SavedChats, chats_in_memory
from qwen_app.service import Service
from qwen_app.testing.scripted_engine import Script, ScriptedEngine
from qwen_app.ui.chat.actions import ChatActions
from qwen_app.ui.chat.commands import ChatCommands
from qwen_app.ui.chat.live_answer import with_live_answer
from qwen_app.ui.chat.session import ChatSession, shown_chat
from qwen_app.ui.chat.view import ChatView
from qwen_app.ui.conversations.answering import Answering
from qwen_app.ui.conversations.choices import Choices
from qwen_app.ui.conversations.conversation import Conversation, Turn
from qwen_app.ui.conversations.open_chat import OpenChat, OpenChats
from qwen_app.ui.conversations.saved_form import conversation_of
from qwen_app.ui.documents.attaching import Attached
from qwen_app.ui.shared.run_line import Run
from qwen_app.ui.shared.strings import LANGUAGES, Language, Texts

pytestmark = pytest.mark.anyio
CHOICES = Choices(system="", temperature=0, top_p=1, max_tokens=64, context_tokens=512, seed=None, json_mode=False)
RUN = Run("stop")
SLOW = Script(text=("word ",) * 10_000, token_s=0.005)


def actions_on(service: Service, saved: SavedChats | None = None, *, unwatched_s: float = 60) -> ChatActions:
    saved = saved or chats_in_memory()
    return ChatActions(service, Answering(service, saved, unwatched_s=unwatched_s), OpenChats(saved))


class Chat:
    def __init__(self, script: Script = Script()) -> None:  # noqa: B008 (frozen)
        self.engine = ScriptedEngine(script, context_tokens=512)
        self.saved = chats_in_memory()
        self.actions = actions_on(Service(self.engine), self.saved, unwatched_s=0.05)
        self.session = ChatSession()

    def send(self, text: str, choices: Choices = CHOICES) -> AsyncGenerator[ChatView, None]:
        return self.actions.send(self.session, text, choices, "ada")

    @property
    def turns(self) -> list[tuple[str, str, str]]:
        turns = self.session.conversation.turns
        return [(turn.question, turn.answer, turn.run.reason if turn.run else "open") for turn in turns]


async def all_of(views: AsyncGenerator[ChatView, None]) -> list[ChatView]:
    return [view async for view in views]


async def test_earlier_turns_are_drawn_when_they_are_asked_for() -> None:
    chat = Chat(Script(("An answer.",)))
    turns = tuple(Turn(f"q{n}", "a", run=RUN, id=str(n), parent_id=str(n - 1)) for n in range(45))
    chat.session.chat.conversation = Conversation("c", turns)
    shown = chat.actions.picture(chat.session)
    assert (len(shown), "q20" in str(shown[0]), shown_chat(chat.session).earlier) == (50, True, 20)
    await all_of(chat.actions.edit(chat.session, 2, "other", CHOICES, "ada"))
    assert [question for question, *_ in chat.turns] == [*(f"q{n}" for n in range(21)), "other"]
    whole = chat.actions.unfold(chat.session)
    assert len(whole.messages or []) == 44
    assert whole.shown == shown_chat(chat.session)
    assert shown_chat(chat.session).earlier == 0
    await chat.actions.clear(chat.session, CHOICES)  # another chat is folded again
    chat.session.chat.conversation = Conversation("d", tuple(Turn("q", "a", run=RUN, id=str(n)) for n in range(45)))
    assert len(chat.actions.picture(chat.session)) == 50


async def test_a_question_is_answered() -> None:
    chat = Chat()
    views = await all_of(chat.send("hi"))
    assert chat.turns == [("hi", "Hello, world.", "stop")]
    assert not chat.session.busy
    assert (views[0].draft, views[0].running) == ("", True)
    assert (views[-1].draft, views[-1].running) == (None, False)
    assert (chat.engine.requests[0].user, chat.engine.requests[0].context_tokens) == ("ada", 512)


async def test_turns_of_one_chat_share_an_id() -> None:
    chat = Chat()
    for text in ("one", "two"):
        await all_of(chat.send(text))
    ids = {request.conversation_id for request in chat.engine.requests}
    assert len(ids) == 1
    assert ids != {""}
    assert len({request.request_id for request in chat.engine.requests}) == 2


@pytest.mark.parametrize("text", ["", "  \n "])
async def test_nothing_is_not_sent(text: str) -> None:
    chat = Chat()
    await all_of(chat.send(text))
    assert chat.turns == []


async def test_what_is_sent_while_an_answer_comes_waits_for_its_end() -> None:
    chat = Chat(Script(text=("a",) * 20, token_s=0.01))
    first, second = await asyncio.gather(all_of(chat.send("one")), all_of(chat.send("two")))
    assert [view.draft for view in second] == [""]
    assert chat.turns == [("one", "a" * 20, "stop"), ("two", "a" * 20, "stop")]
    assert first[-1].running is False
    assert len(chat.engine.requests) == 2


async def test_a_double_click_asks_once() -> None:
    chat = Chat(Script(text=("a",) * 20, token_s=0.01))
    await asyncio.gather(all_of(chat.send("one")), all_of(chat.send("one")))
    assert [turn[0] for turn in chat.turns] == ["one"]


async def test_a_waiting_message_is_taken_back_or_sent_at_once() -> None:
    chat = Chat(SLOW)
    views = chat.send("one")
    await anext(views)
    for text in ("two", "three"):
        await all_of(chat.send(text))
    two, three = chat.session.chat.waiting
    await all_of(chat.actions.take_back(chat.session, two.id, CHOICES, "remove"))
    assert [message.text for message in chat.session.chat.waiting] == ["three"]
    chat.engine.script = Script()
    await all_of(chat.actions.take_back(chat.session, three.id, CHOICES, "now"))
    await all_of(views)
    assert [(question, reason) for question, _, reason in chat.turns] == [("one", "cancelled"), ("three", "stop")]


async def test_what_waits_is_not_asked_after_a_stop() -> None:
    chat = Chat(SLOW)
    views = chat.send("one")
    await anext(views)
    await all_of(chat.send("two"))
    chat.session.stop()
    await all_of(views)
    assert [turn[0] for turn in chat.turns] == ["one"]
    assert [message.text for message in chat.session.chat.waiting] == ["two"]


async def test_stop_keeps_what_was_written() -> None:
    chat = Chat(SLOW)
    async for _ in chat.send("hi"):
        if chat.session.conversation.last.answer:
            chat.session.stop()
    question, answer, reason = chat.turns[0]
    assert (question, reason) == ("hi", "cancelled")
    assert answer.startswith("word ")
    assert chat.engine.cancelled == 1


@pytest.mark.parametrize("pictures", [1, 2, 3, 4])
async def test_nobody_looks_on_and_the_answer_ends_in_time(pictures: int) -> None:
    chat = Chat(SLOW)
    views = chat.send("hi")
    for _ in range(pictures):
        await anext(views)
    live = chat.session.chat.live
    assert live is not None
    await views.aclose()
    assert chat.session.busy
    await live.ended()
    assert chat.turns[0][2] == "unwatched"
    assert chat.engine.cancelled == len(chat.engine.requests)
    assert not chat.session.busy


async def test_another_tab_joins_in_and_sees_the_rest() -> None:
    chat = Chat(Script(text=("word ",) * 40, token_s=0.02))
    views = chat.send("hi")
    await anext(views)
    await views.aclose()
    other = ChatSession(chat=chat.session.chat)
    seen = await all_of(chat.actions.follow(other, CHOICES))
    assert chat.turns == [("hi", "word " * 40, "stop")]
    assert len(seen) > 2
    assert seen[-1].running is False
    assert "word word" in str(seen[-1].messages)


async def test_an_answer_that_another_tab_begins_while_the_end_of_one_is_drawn_is_followed_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    chat = Chat()
    measure, ending, go_on = chat.actions.measure, asyncio.Event(), asyncio.Event()

    async def slow_measure(*args: object) -> str | None:
        ending.set()
        await go_on.wait()
        return await measure(*args)

    monkeypatch.setattr(chat.actions, "measure", slow_measure)
    seen: list[ChatView] = []
    second_seen = asyncio.Event()

    async def watch() -> None:
        async for view in chat.send("one"):
            seen.append(view)
            if len(chat.turns) == 2 and view.live:
                second_seen.set()

    watching = asyncio.create_task(watch())
    await ending.wait()
    chat.engine.script = SLOW
    other = ChatSession(chat=chat.session.chat)
    await anext(begun := chat.actions.send(other, "two", CHOICES, "ada"))
    assert await all_of(chat.actions.follow(chat.session, CHOICES)) == []
    go_on.set()
    await second_seen.wait()
    assert all(view.running is not False for view in seen)
    other.stop()
    await all_of(begun)
    await watching
    assert seen[-1].running is False
    assert [reason for _, _, reason in chat.turns] == ["stop", "cancelled"]


async def test_an_answer_that_another_tab_begins_once_the_end_of_one_is_drawn_can_be_stopped_here_too() -> None:
    chat = Chat()
    other, begun = ChatSession(chat=chat.session.chat), None
    running, drawn = True, 0
    async for view in with_live_answer(chat.send("one")):
        running = running if view.running is None else view.running
        if not running and begun is None:  # the end of the first is on its way to the page
            chat.engine.script = SLOW
            await anext(begun := chat.actions.send(other, "two", CHOICES, "ada"))
            assert await all_of(chat.actions.follow(chat.session, CHOICES)) == []
        elif running and view.live and begun is not None:
            drawn += 1
            chat.session.stop()
    assert begun is not None
    await all_of(begun)
    assert drawn
    assert not running
    assert [reason for _, _, reason in chat.turns] == ["stop", "cancelled"]


async def test_saved_chats_are_found_by_their_owner_alone() -> None:
    chat = Chat()
    chat.session.owner = "ada"
    shown = [view.shown for view in await all_of(chat.send("hi")) if view.shown]
    for owner, turns in (("ada", 1), ("bob", 0), ("", 0)):
        other = ChatSession(owner=owner)
        await all_of(chat.actions.open(other, shown[-1].id, CHOICES))
        assert len(other.conversation.turns) == turns


async def test_what_waits_in_a_chat_that_was_deleted_does_not_bring_it_back() -> None:
    saved = chats_in_memory()
    engine = ScriptedEngine(Script(text=("a",) * 20, token_s=0.02), context_tokens=512)
    actions, session = actions_on(Service(engine), saved), ChatSession(owner="ada")
    views = actions.send(session, "one", CHOICES, "ada")
    async for _ in views:
        if session.chat.stored:
            break
    await all_of(actions.send(session, "two", CHOICES, "ada"))
    assert [message.text for message in session.chat.waiting] == ["two"]
    assert saved.chats.delete("ada", session.chat.address)
    await all_of(views)
    assert saved.chats.listed("ada") == []
    assert len(engine.requests) == 1
    assert saved.chats.restore("ada", session.chat.address)
    assert not session.busy
    await all_of(actions.send(session, "three", CHOICES, "ada"))
    assert [turn.question for turn in session.conversation.turns] == ["one", "three", "two"]


async def test_a_half_answer_is_there_after_the_process_was_killed() -> None:
    saved = chats_in_memory()
    service = Service(ScriptedEngine(SLOW, context_tokens=512))
    actions, session = actions_on(service, saved), ChatSession(owner="ada")
    long = dataclasses.replace(CHOICES, max_tokens=450)
    views = actions.send(session, "hi", long, "ada")
    async for _ in views:
        if len(session.conversation.last.answer) > 1500:
            break
    found = ChatSession(owner="ada")
    await all_of(actions_on(service, saved).open(found, session.chat.address, CHOICES))
    (turn,) = found.conversation.turns
    assert turn.run is not None
    assert (turn.question, turn.run.reason) == ("hi", "interrupted")
    assert turn.answer.startswith("word word")
    session.stop()
    await all_of(views)


async def test_regenerating_and_editing_keep_what_was_there() -> None:
    chat = Chat()
    chat.session.owner = "ada"
    await all_of(chat.send("one"))
    await all_of(chat.send("two"))
    chat.engine.script = Script(text=("again",))
    await all_of(chat.actions.regenerate(chat.session, CHOICES, "ada"))
    assert [turn[1] for turn in chat.turns] == ["Hello, world.", "again"]
    await chat.actions.switch(chat.session, 1, -1, CHOICES)
    assert [turn[1] for turn in chat.turns] == ["Hello, world.", "Hello, world."]
    await all_of(chat.actions.edit(chat.session, 0, "ONE", CHOICES, "ada"))
    assert [turn[0] for turn in chat.turns] == ["ONE"]
    await chat.actions.switch(chat.session, 0, -1, CHOICES)
    reloaded = ChatSession(owner="ada")
    await all_of(chat.actions.open(reloaded, chat.session.chat.address, CHOICES))
    assert [turn.answer for turn in reloaded.conversation.turns] == ["Hello, world.", "again"]


async def test_the_branch_that_is_shown_is_the_one_that_comes_back() -> None:
    chat = Chat()
    chat.session.owner = "ada"
    await all_of(chat.send("one"))
    await all_of(chat.actions.edit(chat.session, 0, "ONE", CHOICES, "ada"))
    await chat.actions.switch(chat.session, 0, -1, CHOICES)
    address, chat.session.chat = chat.session.chat.address, OpenChat()
    await all_of(chat.actions.open(chat.session, address, CHOICES))
    assert [turn[0] for turn in chat.turns] == ["one"]


async def test_a_fork_is_a_chat_of_its_own() -> None:
    chat = Chat()
    chat.session.owner = "ada"
    for text in ("one", "two"):
        await all_of(chat.send(text))
    first = chat.session.chat
    await chat.actions.fork(chat.session, 0, CHOICES)
    await all_of(chat.send("other"))
    assert [turn[0] for turn in chat.turns] == ["one", "other"]
    assert [turn.question for turn in first.conversation.turns] == ["one", "two"]
    assert chat.session.chat.address not in ("", first.address)


async def test_a_temporary_chat_is_saved_nowhere() -> None:
    chat = Chat()
    chat.session.owner, chat.session.chat = "ada", OpenChat(temporary=True)
    views = await all_of(chat.send("hi"))
    assert {view.shown.id for view in views if view.shown} == {""}


async def test_a_temporary_chat_stays_temporary_while_another_is_looked_for() -> None:
    saved = chats_in_memory()
    actions, session = actions_on(Service(ScriptedEngine(context_tokens=512)), saved), ChatSession(owner="ada")
    commands, search = ChatCommands(actions), threading.Event()
    await all_of(actions.send(session, "ordinary", CHOICES, "ada"))
    ordinary = session.chat.address
    await all_of(commands.run(session, {"do": "temporary"}, CHOICES, "ada"))
    await all_of(actions.send(session, "secret", CHOICES, "ada"))
    searching = asyncio.create_task(saved.run(search.wait, 30))  # somebody's, and it takes long
    opening = asyncio.create_task(all_of(commands.run(session, {"do": "open", "id": ordinary}, CHOICES, "ada")))
    await asyncio.sleep(0.05)
    asking = asyncio.create_task(all_of(actions.send(session, "more of it", CHOICES, "ada")))
    await asyncio.sleep(0.05)
    search.set()
    await asyncio.gather(searching, opening, asking)
    assert session.chat.address == ordinary
    assert [summary.title for summary in saved.chats.listed("ada")] == ["ordinary"]


async def test_a_new_chat_is_not_written_into_by_the_old_answer() -> None:
    chat = Chat(SLOW)
    old = chat.send("old")
    await anext(old)
    await anext(old)
    await chat.actions.clear(chat.session, CHOICES)
    rest = await all_of(old)
    assert chat.turns == []
    assert rest[-1].messages == []  # the last picture an event sends is shown again when it ends
    chat.engine.script = Script()
    await all_of(chat.send("new"))
    assert chat.turns == [("new", "Hello, world.", "stop")]


async def test_undo_while_an_answer_comes() -> None:
    chat = Chat(SLOW)
    views = chat.send("hi")
    await anext(views)
    await anext(views)
    undone = await chat.actions.undo(chat.session, CHOICES, "typed since")
    await all_of(views)
    assert (undone.messages, undone.draft, chat.turns) == ([], "hi\ntyped since", [])


async def test_an_error_keeps_text_and_question() -> None:
    chat = Chat(Script(text=("half", "more"), error=EngineError("broke"), error_at=1))
    await all_of(chat.send("hi"))
    assert chat.turns == [("hi", "half", "failed")]
    chat.engine.script = Script()
    await all_of(chat.actions.regenerate(chat.session, CHOICES, "ada"))
    assert chat.turns == [("hi", "Hello, world.", "stop")]


async def test_too_long_a_question_goes_back_to_the_composer() -> None:
    chat = Chat()
    await all_of(chat.send("first"))
    last = (await all_of(chat.send("long " * 600)))[-1]
    assert "needs 604 tokens" in str(last.notice)
    assert "only 448 of the 512 tokens" in str(last.notice)
    assert last.draft == "long " * 600
    assert [turn[0] for turn in chat.turns] == ["first"]
    assert len(chat.engine.requests) == 1


async def test_too_long_an_edit_changes_nothing() -> None:
    chat = Chat()
    await all_of(chat.send("first"))
    before = chat.session.conversation
    views = await all_of(chat.actions.edit(chat.session, 0, "long " * 600, CHOICES, "ada"))
    assert "needs 604 tokens" in str(views[-1].notice)
    assert chat.session.conversation == before


@pytest.mark.parametrize("index", [2, 99])
async def test_editing_a_message_that_is_not_there(index: int) -> None:
    chat = Chat()
    await all_of(chat.send("first"))
    await all_of(chat.actions.edit(chat.session, index, "other", CHOICES, "ada"))
    assert len(chat.engine.requests) == 1


async def test_edits_lose_the_invisible_characters_they_were_shown_with() -> None:
    chat = Chat()
    await all_of(chat.send("first"))
    await all_of(chat.actions.edit(chat.session, 0, "what is <\u2060b>?", CHOICES, "ada"))
    assert chat.engine.requests[-1].messages[-1].content == "what is <b>?"


async def test_a_problem_with_the_settings_is_a_sentence() -> None:
    chat = Chat()
    choices = dataclasses.replace(CHOICES, problem="bad_seed")
    last = (await all_of(chat.send("hi", choices)))[-1]
    assert "The seed must be a whole number" in str(last.notice)
    assert (last.draft, chat.turns) == ("hi", [])


class Uncounting(ScriptedEngine):
    def __init__(self, refusal: AppError) -> None:
        super().__init__()
        self._why = refusal

    async def count_tokens(
        self,
        prompts: Sequence[Sequence[Message]],
        tools: Sequence[Tool] = (),
        template: TemplateOptions = PLAIN_TEMPLATE,
    ) -> list[int]:
        raise self._why


async def test_a_server_that_cannot_count_loses_nothing() -> None:
    away = EngineUnavailable("The other server is away. Try again in a minute.")
    actions, session = actions_on(Service(Uncounting(away))), ChatSession()
    view = (await all_of(actions.send(session, "hi", CHOICES, "ada")))[-1]
    assert "The other server is away." in str(view.notice)
    assert (view.draft, session.conversation.turns, session.busy) == ("hi", (), False)
    assert await actions.measure(session, "draft", CHOICES) == ""


async def test_a_draft_too_long_to_be_counted_is_too_long_for_the_lens_too() -> None:
    actions, session = actions_on(Service(Uncounting(TextTooLong(300_000, 200_704, 8192)))), ChatSession()
    lens = await actions.measure(session, "x" * 300_000, CHOICES)
    assert "300,000 characters, and no more than 200,704 can be read" in lens
    assert re.search('data-over="[1-9][0-9]*" data-length="300000"', lens)


async def test_the_answer_is_limited_to_the_room_there_is() -> None:
    chat = Chat(Script(text=("word ",) * 500))
    choices = dataclasses.replace(CHOICES, max_tokens=400)
    await all_of(chat.send("word " * 300, choices))
    run = chat.session.conversation.last.run
    assert run is not None
    assert (run.reason, run.completion_tokens) == ("length", 512 - 304)


async def test_measuring_changes_nothing() -> None:
    chat = Chat()
    await all_of(chat.send("first"))
    before = chat.session.conversation
    assert "draft 2" in await chat.actions.measure(chat.session, "two words", CHOICES)
    assert chat.session.conversation == before


async def test_a_message_sent_costs_two_counts_and_a_keystroke_one() -> None:
    chat = Chat()
    await all_of(chat.send("first"))
    for draft in ("s", "se", "sec"):
        before = chat.engine.counts
        await chat.actions.measure(chat.session, draft, CHOICES)
        assert chat.engine.counts == before + 1
    typed = chat.engine.counts
    await all_of(chat.send("second"))
    assert chat.engine.counts - typed <= 2
    sent = chat.engine.counts
    await chat.actions.measure(chat.session, "", CHOICES)  # the composer was emptied
    assert chat.engine.counts == sent


def left_out(lens: str) -> list[int]:
    found = re.search('data-out="([^"]*)"', lens)
    assert found
    return [int(number) for number in found[1].split(",") if number]


async def test_what_is_left_out_is_said_before_it_is_sent() -> None:
    chat = Chat(Script(text=("word ",) * 60))
    for number in range(9):
        said = left_out(await chat.actions.measure(chat.session, f"question {number}", CHOICES))
        await all_of(chat.send(f"question {number}"))
        sent = [message.content for message in chat.engine.requests[-1].messages if message.role == "user"]
        assert sent == [f"question {turn}" for turn in range(number + 1) if turn not in said]
    assert said


async def test_a_turn_that_is_pinned_is_sent_and_one_that_is_dropped_is_not_and_both_are_remembered() -> None:
    chat = Chat(Script(text=("word ",) * 60))
    chat.session.owner = "ada"
    for number in range(9):
        await all_of(chat.send(f"question {number}"))
    await chat.actions.hold(chat.session, 0, "pinned")
    await chat.actions.hold(chat.session, 8, "dropped")
    elsewhere = actions_on(Service(chat.engine), chat.saved)
    reloaded = ChatSession(owner="ada")
    await all_of(elsewhere.open(reloaded, chat.session.chat.address, CHOICES))
    said = left_out(await chat.actions.measure(reloaded, "last", CHOICES))
    assert 0 not in said
    assert 8 in said
    await all_of(chat.actions.send(reloaded, "last", CHOICES, "ada"))
    sent = [message.content for message in chat.engine.requests[-1].messages if message.role == "user"]
    assert sent == [turn.question for number, turn in enumerate(reloaded.conversation.turns) if number not in said]


async def test_a_turn_that_is_pinned_while_an_answer_is_written_is_remembered_too() -> None:
    chat = Chat()
    chat.session.owner = "ada"
    await all_of(chat.send("one"))
    chat.engine.script = Script(text=("word ",) * 40, token_s=0.02)
    views = chat.send("two")
    await anext(views)
    await chat.actions.hold(chat.session, 1, "dropped")  # a question that the database may not have yet
    await anext(views)
    await chat.actions.hold(chat.session, 0, "pinned")
    await chat.actions.hold(chat.session, 1, "auto")
    await all_of(views)
    saved = chat.saved.chats.load("ada", chat.session.chat.address)
    assert saved is not None
    assert [turn.hold for turn in conversation_of(saved).turns] == ["pinned", "auto"]


async def test_what_is_too_long_is_said_while_it_is_typed() -> None:
    chat = Chat()
    assert 'data-over="0"' in await chat.actions.measure(chat.session, "short", CHOICES)
    lens = await chat.actions.measure(chat.session, "word " * 600, CHOICES)
    assert f'data-over="{604 - (512 - 64)}"' in lens
    assert "156 too many" in lens


async def test_documents_in_the_composer_count_before_they_are_sent() -> None:
    chat = Chat(Script(text=("word ",) * 60))
    chat.session.attached = (Attached("d", "a.txt", 0, (), tokens=700),)
    assert f'data-over="{4 + 700 - (512 - 64)}"' in await chat.actions.measure(chat.session, "", CHOICES)
    chat.session.attached = ()
    for number in range(5):
        await all_of(chat.send(f"question {number}"))
    assert left_out(await chat.actions.measure(chat.session, "", CHOICES)) == []
    chat.session.attached = (Attached("d", "a.txt", 0, (), tokens=152),)
    lens = await chat.actions.measure(chat.session, "", CHOICES)
    assert left_out(lens) == [0, 1, 2]
    assert "64 kept for the answer" in lens


async def test_the_context_slider_moves_what_is_left_out() -> None:
    chat = Chat(Script(text=("word ",) * 60))
    for number in range(5):
        await all_of(chat.send(f"question {number}"))
    assert left_out(await chat.actions.measure(chat.session, "", CHOICES)) == []
    small = dataclasses.replace(CHOICES, context_tokens=360)
    assert left_out(await chat.actions.measure(chat.session, "", small)) == [0, 1, 2]
    assert left_out(await chat.actions.measure(chat.session, "", CHOICES)) == []


async def test_json_mode_asks_for_json_in_words_too() -> None:
    chat = Chat()
    for system in ("", "be brief"):
        await all_of(chat.send("hi", dataclasses.replace(CHOICES, system=system, json_mode=True)))
        request = chat.engine.requests[-1]
        assert request.grammar is not None
        assert request.messages[0].role == "system"
        assert request.messages[0].content.startswith(system)
        assert JSON_HINT in request.messages[0].content


async def test_a_system_prompt_that_speaks_of_json_is_left_alone() -> None:
    chat = Chat()
    await all_of(chat.send("hi", dataclasses.replace(CHOICES, system="reply in JSON", json_mode=True)))
    assert chat.engine.requests[0].messages[0] == Message("system", "reply in JSON")


@pytest.mark.parametrize("everything", [False, True])
async def test_deleting_a_chat_ends_its_answer_and_no_others(everything: bool) -> None:
    saved = chats_in_memory()
    actions = actions_on(Service(ScriptedEngine(SLOW, slots=2)), saved)
    mine, others = ChatSession(owner="ada"), ChatSession(owner="bob")
    answers = [asyncio.create_task(all_of(actions.send(one, "hi", CHOICES, one.owner))) for one in (mine, others)]
    async with asyncio.timeout(10):
        while not (mine.chat.stored and others.chat.stored):  # noqa: ASYNC110 (there is no event for it)
            await asyncio.sleep(0.01)
        name = mine.conversation.id
        assert await (saved.delete_all("ada") if everything else saved.delete("ada", name))
        await answers[0]
    run = mine.conversation.last.run
    assert run is not None
    assert run.reason == "cancelled"
    assert others.chat.live is not None
    others.stop()
    await answers[1]
    back = await saved.run(saved.chats.restore, "ada", name)
    found = await OpenChats(saved).find("ada", name)
    assert back is (found is not None) is not everything
    assert found is None or found.conversation.last.answer == mine.conversation.last.answer != ""


@pytest.mark.parametrize("language", LANGUAGES)
async def test_a_chat_that_is_not_there_is_said_to_be_gone(language: Language) -> None:
    actions = actions_on(Service(ScriptedEngine()))
    session = ChatSession(owner="ada", language=language)
    (view,) = await all_of(actions.open(session, "deadbeef", CHOICES))
    assert view.shown is not None
    assert (view.shown.gone, view.shown.id) == ("deadbeef", session.chat.address)
    assert Texts(language)("chat_gone") in unescape(view.notice or "")
