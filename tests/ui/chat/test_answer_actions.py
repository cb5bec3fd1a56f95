"""What is asked of an answer that is there: what is sent, and what becomes of the chat."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncGenerator

import pytest

from qwen_app.engine.base import EngineInfo
from qwen_app.messages import GenerationRequest
from qwen_app.saved_chats.saved_chats import chats_in_memory
from qwen_app.service import Service
from qwen_app.testing.scripted_engine import Script, ScriptedEngine
from qwen_app.ui.chat.actions import ChatActions
from qwen_app.ui.chat.answer_actions import AnswerActions
from qwen_app.ui.chat.session import ChatSession
from qwen_app.ui.chat.view import ChatView
from qwen_app.ui.conversations.answering import Answering
from qwen_app.ui.conversations.choices import Choices
from qwen_app.ui.conversations.conversation import undo
from qwen_app.ui.conversations.open_chat import OpenChats

pytestmark = pytest.mark.anyio
CHOICES = Choices(system="", temperature=0.7, top_p=1, max_tokens=8, context_tokens=512, seed=7, json_mode=False)


def counted(request: GenerationRequest) -> Script:
    """Goes on counting from the words that the answer has."""
    begun = request.messages[-1].content if request.messages[-1].role == "assistant" else ""
    said = len(begun.split())
    return Script(text=tuple(f"{number} " for number in range(said, said + 20)))


class ToldWhole(ScriptedEngine):
    """An engine that begins every answer itself."""

    def info(self) -> EngineInfo:
        return dataclasses.replace(super().info(), continues=False)


class Chat:
    def __init__(self, kind: type[ScriptedEngine] = ScriptedEngine) -> None:
        self.engine = kind(counted, context_tokens=512)
        saved = chats_in_memory()
        service = Service(self.engine)
        self.chats = ChatActions(service, Answering(service, saved), OpenChats(saved))
        self.answers = AnswerActions(self.chats)
        self.session = ChatSession(owner="ada")

    async def send(self, text: str, choices: Choices = CHOICES) -> None:
        await drawn(self.chats.send(self.session, text, choices, "ada"))

    @property
    def answer(self) -> str:
        return self.session.conversation.last.answer

    @property
    def sent(self) -> list[tuple[str, str]]:
        return [(message.role, message.content) for message in self.engine.requests[-1].messages]


async def drawn(views: AsyncGenerator[ChatView, None]) -> str:
    return str([view async for view in views][-1].messages)


async def test_a_cut_answer_goes_on_where_it_was_cut() -> None:
    chat = Chat()
    await chat.send("count")
    assert chat.answer == "0 1 2 3 4 5 6 7 "
    shown = await drawn(chat.answers.go_on(chat.session, CHOICES, "ada"))
    assert chat.answer == " ".join(map(str, range(16))) + " "
    assert chat.sent == [("user", "count"), ("assistant", "0 1 2 3 4 5 6 7 ")]
    assert chat.engine.requests[-1].template.continue_final
    assert len(chat.session.conversation.turns) == 1
    assert not chat.session.conversation.others
    assert 'name="go_on"' in shown


async def test_an_answer_that_ended_has_nothing_to_go_on_with() -> None:
    chat = Chat()
    await chat.send("count", dataclasses.replace(CHOICES, max_tokens=64))
    asked = len(chat.engine.requests)
    shown = await drawn(chat.answers.go_on(chat.session, CHOICES, "ada"))
    assert len(chat.engine.requests) == asked
    assert 'name="go_on"' not in shown


async def test_going_on_changes_no_answer_that_something_was_said_after() -> None:
    chat = Chat()
    await chat.send("count")
    await chat.send("more")
    chat.session.chat.conversation, _ = undo(chat.session.conversation)
    await drawn(chat.answers.go_on(chat.session, CHOICES, "ada"))
    answers = {turn.question: turn.answer for turn in chat.session.conversation.others}
    assert answers["count"] == "0 1 2 3 4 5 6 7 "
    assert len(chat.answer.split()) == 16


async def test_the_reply_starts_as_it_was_told_to() -> None:
    chat = Chat()
    choices = dataclasses.replace(CHOICES, start="zero one ")
    assert "draft 1" in await chat.chats.measure(chat.session, "count", CHOICES)
    assert "draft 7" in await chat.chats.measure(chat.session, "count", choices)  # it is part of the prompt
    await chat.send("count", choices)
    assert chat.answer == "zero one 2 3 4 5 6 7 8 9 "
    assert chat.sent == [("user", "count"), ("assistant", "zero one ")]
    found = ChatSession(owner="ada")
    await drawn(chat.chats.open(found, chat.session.chat.address, CHOICES))
    assert found.conversation.last.answer == chat.answer


async def test_shorter_and_as_json_are_questions_like_others() -> None:
    chat = Chat()
    await chat.send("count")
    await drawn(chat.answers.ask(chat.session, "ask_shorter", CHOICES, "ada"))
    assert chat.sent[-1] == ("user", "Say that again, shorter.")
    await drawn(chat.answers.ask(chat.session, "ask_json", CHOICES, "ada", json_mode=True))
    assert chat.sent[-1] == ("user", "Give that as a JSON object.")
    assert chat.engine.requests[-1].grammar is not None


async def test_again_asks_exactly_what_was_asked() -> None:
    chat = Chat()
    for number in range(6):
        await chat.send(f"question {number} " + "word " * 80)
    first = chat.engine.requests[-1]
    await chat.chats.hold(chat.session, 0, "pinned")  # what is sent since then is another matter
    await chat.send("other", dataclasses.replace(CHOICES, temperature=1.5, seed=1, context_tokens=300))
    await drawn(chat.answers.again(chat.session, 5, "ada"))
    again = chat.engine.requests[-1]
    assert again.messages == first.messages
    assert again.sampling == first.sampling
    assert again.context_tokens == first.context_tokens
    last = chat.session.conversation.last
    assert last.run is not None
    assert last.run.left_out
    assert last.question.startswith("question 5")


async def test_again_goes_on_from_the_same_words() -> None:
    chat = Chat()
    await chat.send("count")
    await drawn(chat.answers.go_on(chat.session, CHOICES, "ada"))
    before = chat.answer
    await drawn(chat.answers.again(chat.session, 0, "ada"))
    assert chat.answer == before
    assert len(chat.session.conversation.others) == 1


async def test_two_runs_are_compared_and_the_difference_is_hidden_again() -> None:
    chat = Chat()
    await chat.send("count")
    assert await chat.answers.compare(chat.session, 0) == ChatView()
    more = dataclasses.replace(CHOICES, max_tokens=9)
    await drawn(chat.chats.regenerate(chat.session, more, "ada"))
    assert "<ins>8 </ins>" in str((await chat.answers.compare(chat.session, 0)).messages)
    assert "<ins>" not in str((await chat.answers.compare(chat.session, 0)).messages)


async def test_a_server_that_cannot_go_on_offers_no_button() -> None:
    chat = Chat(ToldWhole)
    await chat.send("count")
    assert 'name="go_on"' not in str(chat.chats.picture(chat.session))


@pytest.mark.parametrize("turn", [-1, 7])
async def test_a_turn_that_is_not_there_is_left_alone(turn: int) -> None:
    chat = Chat()
    await chat.send("count")
    before = chat.session.conversation
    await drawn(chat.answers.again(chat.session, turn, "ada"))
    await chat.answers.compare(chat.session, turn)
    await chat.chats.hold(chat.session, turn, "pinned")
    assert chat.session.conversation == before
