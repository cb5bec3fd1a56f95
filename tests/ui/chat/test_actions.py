"""The chat's actions without a browser: what the session holds after each, whatever happens in between."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncGenerator, Sequence

import pytest

from qwen_app.chat.json_hint import JSON_HINT
from qwen_app.errors import EngineError, EngineUnavailable
from qwen_app.messages import Message, Tool
from qwen_app.service import Service
from qwen_app.testing.scripted_engine import Script, ScriptedEngine
from qwen_app.ui.chat.actions import ChatActions
from qwen_app.ui.chat.controls import Choices
from qwen_app.ui.chat.session import ChatSession
from qwen_app.ui.chat.view import ChatView

pytestmark = pytest.mark.anyio
CHOICES = Choices(system="", temperature=0, top_p=1, max_tokens=64, context_tokens=512, seed=None, json_mode=False)
SLOW = Script(text=("word ",) * 10_000, token_s=0.005)


class Chat:
    def __init__(self, script: Script = Script()) -> None:  # noqa: B008 (frozen)
        self.engine = ScriptedEngine(script, context_tokens=512)
        self.actions = ChatActions(Service(self.engine))
        self.session = ChatSession()

    def send(self, text: str, choices: Choices = CHOICES) -> AsyncGenerator[ChatView, None]:
        return self.actions.send(self.session, text, choices, "ada")

    @property
    def turns(self) -> list[tuple[str, str, str]]:
        turns = self.session.conversation.turns
        return [(turn.question, turn.answer, turn.run.reason if turn.run else "open") for turn in turns]


async def all_of(views: AsyncGenerator[ChatView, None]) -> list[ChatView]:
    return [view async for view in views]


async def test_a_question_is_answered() -> None:
    chat = Chat()
    views = await all_of(chat.send("hi"))
    assert chat.turns == [("hi", "Hello, world.", "stop")]
    assert not chat.session.slot.busy
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


async def test_two_sends_at_once_make_one_generation() -> None:
    chat = Chat(Script(text=("a",) * 20, token_s=0.001))
    await asyncio.gather(all_of(chat.send("one")), all_of(chat.send("two")))
    assert [turn[0] for turn in chat.turns] == ["one"]
    assert len(chat.engine.requests) == 1


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
async def test_a_closed_page_ends_the_answer(pictures: int) -> None:
    chat = Chat(SLOW)
    views = chat.send("hi")
    for _ in range(pictures):
        await anext(views)
    await views.aclose()
    assert chat.turns[0][2] == "cancelled"
    assert chat.engine.cancelled == len(chat.engine.requests)
    assert not chat.session.slot.busy


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
    undone = await chat.actions.undo(chat.session, CHOICES)
    await all_of(views)
    assert (undone.messages, undone.draft, chat.turns) == ([], "hi", [])


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
    async def count_tokens(self, prompts: Sequence[Sequence[Message]], tools: Sequence[Tool] = ()) -> list[int]:
        raise EngineUnavailable("The other server is away. Try again in a minute.")


async def test_a_server_that_cannot_count_loses_nothing() -> None:
    actions, session = ChatActions(Service(Uncounting())), ChatSession()
    view = (await all_of(actions.send(session, "hi", CHOICES, "ada")))[-1]
    assert "The other server is away." in str(view.notice)
    assert (view.draft, session.conversation.turns, session.slot.busy) == ("hi", (), False)
    assert await actions.measure(session, "draft", CHOICES) == ""


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


async def test_what_is_left_out_is_marked_where_the_prompt_begins() -> None:
    chat = Chat(Script(text=("word ",) * 60))
    for number in range(9):
        await all_of(chat.send(f"question {number}"))
    start = chat.session.conversation.window_start
    assert start > 0
    assert chat.engine.requests[-1].messages[0].content == f"question {start}"


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
