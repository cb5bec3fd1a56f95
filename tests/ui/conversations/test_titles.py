"""A chat's title comes from the model once nobody waits, and only if it looks like one."""

from __future__ import annotations

import asyncio

import pytest

from qwen_app.errors import EngineError
from qwen_app.messages import GenerationRequest
from qwen_app.saved_chats.saved_chats import chats_in_memory
from qwen_app.service import Service
from qwen_app.testing.scripted_engine import Script, ScriptedEngine
from qwen_app.ui.chat.actions import ChatActions
from qwen_app.ui.chat.session import ChatSession
from qwen_app.ui.conversations.answering import Answering
from qwen_app.ui.conversations.choices import Choices
from qwen_app.ui.conversations.open_chat import OpenChats
from qwen_app.ui.conversations.titles import WISH, Titles, title_in

pytestmark = pytest.mark.anyio
CHOICES = Choices(system="", temperature=0, top_p=1, max_tokens=64, context_tokens=512, seed=None, json_mode=False)


@pytest.mark.parametrize(
    ("written", "title"),
    [
        ('"The Capital of France."', "The Capital of France"),
        ("**Title: Paris**\nMore words.", "Paris"),
        ("「法国的首都」。", "法国的首都"),
        ("", ""),
        ("...", ""),
        ("a" * 61, ""),
    ],
)
def test_a_title_is_a_short_line(written: str, title: str) -> None:
    assert title_in(written) == title


@pytest.mark.parametrize(
    ("script", "title", "titled_by"),
    [
        (Script(text=("Greeting ", "somebody")), "Greeting somebody", "model"),
        (Script(error=EngineError("broke")), "hello there", "question"),
    ],
)
async def test_the_first_answer_is_followed_by_a_title(script: Script, title: str, titled_by: str) -> None:
    def chosen(request: GenerationRequest) -> Script:
        return script if request.messages[-1].content == WISH else Script()

    engine, saved = ScriptedEngine(chosen, context_tokens=512), chats_in_memory()
    service = Service(engine)
    titles = Titles(service, saved)
    actions = ChatActions(service, Answering(service, saved, named=titles.name), OpenChats(saved))
    session = ChatSession(owner="ada")
    for text in ("hello there", "second"):
        async for _ in actions.send(session, text, CHOICES, "ada"):
            pass
        async with asyncio.timeout(10):
            await titles.done()
    (line,) = saved.chats.listed("ada")
    assert (line.title, line.titled_by) == (title, titled_by)
    assert [request.messages[-1].content for request in engine.requests] == ["hello there", WISH, "second"]
    assert engine.requests[1].messages[0] == engine.requests[0].messages[0]
