from __future__ import annotations

import dataclasses
from collections.abc import AsyncGenerator, Sequence

import pytest

from qwen_app.ui.chat.live_answer import FIGURES_S, LiveDrawing, with_live_answer
from qwen_app.ui.chat.view import ChatView, DrawnMessage, ShownChat, chat_messages, live_text
from qwen_app.ui.conversations.conversation import Conversation, answer, ask, hold
from qwen_app.ui.markdown.growing import GrowingAnswer
from qwen_app.ui.shared.stream import Progress
from qwen_app.ui.shared.strings import Texts

pytestmark = pytest.mark.anyio


def user(text: str) -> DrawnMessage:
    return {"role": "user", "content": [{"type": "text", "text": text}]}


def bot(*texts: str) -> DrawnMessage:
    return {"role": "assistant", "content": [{"type": "text", "text": text} for text in texts]}


async def drawn(views: Sequence[ChatView]) -> list[ChatView]:
    async def source() -> AsyncGenerator[ChatView, None]:
        for view in views:
            yield view

    return [view async for view in with_live_answer(source())]


async def test_while_an_answer_is_written_the_conversation_keeps_still() -> None:
    before = [user("a"), bot("b"), user("c")]
    asked, more, over = await drawn(
        [
            ChatView([*before, bot("waiting")], running=True, draft=""),
            ChatView([*before, bot("half", "line")], meter="m"),
            ChatView([*before, bot("whole")], running=False),
        ]
    )
    assert asked == ChatView(before, live="waiting", running=True, draft="")
    assert more == ChatView(None, live="half\n\nline", meter="m")
    assert over == ChatView([*before, bot("whole")], live="", line="", running=False)


async def test_a_conversation_that_changed_is_drawn_again() -> None:
    first, second = [user("a"), bot("b")], [user("c"), bot("d")]
    views = await drawn([ChatView(first, running=True), ChatView(second), ChatView([]), ChatView(second)])
    assert [view.messages for view in views] == [first[:1], second[:1], [], second[:1]]
    assert [view.live for view in views] == ["b", "d", "", "d"]


async def test_a_view_that_comes_in_the_middle_leaves_the_answer_out_too() -> None:
    pinned = [user("a"), bot("half")]

    async def source() -> AsyncGenerator[ChatView, None]:
        yield ChatView(pinned)

    assert [view async for view in with_live_answer(source(), writing=True)] == [ChatView(pinned[:1], live="half")]


def test_what_stays_as_it_is_is_drawn_once() -> None:
    drawing = LiveDrawing()
    asked = ask(ask(Conversation(), "first"), "second")
    assert [drawing.around_changed(answer(asked, text)) for text in ("", "a", "ab")] == [True, False, False]
    assert drawing.around_changed(hold(asked, 0, "pinned"))
    assert [drawing.news(ShownChat(name)) for name in "aab"] == [ShownChat("a"), None, ShownChat("b")]


def test_figures_change_a_few_times_a_second() -> None:
    now = [100.0]
    drawing = LiveDrawing(clock=lambda: now[0])
    due = []
    for _ in range(40):
        due.append(drawing.figures_due())
        now[0] += FIGURES_S / 4
    assert due[0]
    assert due.count(True) == 10


def test_the_live_text_is_what_the_whole_picture_has_of_the_answer() -> None:
    turn = dataclasses.replace(ask(Conversation(), "q").last, answer="**a**\n\nb")
    chat, progress, texts = Conversation("c", (turn,)), Progress("writing", "**a**\n\nb"), Texts("en")
    whole = chat_messages(chat, texts, progress)[-1]["content"]
    assert live_text(chat, texts, progress, GrowingAnswer().drawn) == "\n\n".join(part["text"] for part in whole)


async def test_what_says_nothing_of_messages_passes() -> None:
    assert await drawn([ChatView(meter="m"), ChatView(notice="n", running=False)]) == [
        ChatView(meter="m"),
        ChatView(notice="n", running=False),
    ]
