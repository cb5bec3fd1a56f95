from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qwen_app.service import Service
from qwen_app.testing.scripted_engine import ScriptedEngine
from qwen_app.ui.chat.controls import Choices
from qwen_app.ui.chat.conversation import Conversation, Run, answer, ask
from qwen_app.ui.chat.plan import plan, turn_tokens

pytestmark = pytest.mark.anyio
CHOICES = Choices(system="", temperature=0, top_p=1, max_tokens=64, context_tokens=256, seed=None, json_mode=False)


def chat(*answers: str) -> Conversation:
    conversation = Conversation()
    for number, text in enumerate(answers):
        conversation = answer(ask(conversation, f"question {number}"), text, Run("stop"))
    return ask(conversation, "the last one")


@pytest.fixture
def service() -> Service:
    return Service(ScriptedEngine(context_tokens=256))


async def test_all_is_sent_while_it_fits(service: Service) -> None:
    choices = dataclasses.replace(CHOICES, system="be brief")
    conversation, planned = await plan(service, chat("one", "two"), choices)
    assert [m.content for m in planned.messages] == [
        "be brief", "question 0", "one", "question 1", "two", "the last one",
    ]  # fmt: skip
    assert planned.window.tokens == await service.count_tokens(planned.messages)
    assert conversation.window_start == 0
    assert [turn.tokens for turn in conversation.turns] == [11, 11, None]


async def test_failed_answers_are_not_sent(service: Service) -> None:
    _, planned = await plan(service, chat("one", "", "three"), CHOICES)
    assert [m.content for m in planned.messages] == ["question 0", "one", "question 2", "three", "the last one"]


async def test_the_start_is_remembered_in_turns_of_the_conversation(service: Service) -> None:
    long = "word " * 60
    conversation, planned = await plan(service, chat("", long, "", long, long), CHOICES)
    assert planned.window.fits
    assert conversation.window_start == 4
    assert planned.messages[0].content == "question 4"
    again, _ = await plan(service, conversation, CHOICES)
    assert again.window_start == 4


async def test_more_context_brings_old_turns_back(service: Service) -> None:
    conversation, _ = await plan(service, chat(*["word " * 60] * 4), CHOICES)
    assert conversation.window_start > 0
    wider, _ = await plan(service, conversation, dataclasses.replace(CHOICES, context_tokens=4096))
    assert wider.window_start == 0


async def test_a_question_too_long_does_not_fit(service: Service) -> None:
    _, planned = await plan(service, ask(Conversation(), "word " * 300), CHOICES)
    assert not planned.window.fits
    assert planned.needed_tokens == 304


@settings(max_examples=30)
@given(st.lists(st.text(alphabet="ab ", max_size=30), max_size=8), st.text(alphabet="ab ", max_size=20))
async def test_sizes_are_exact(answers: list[str], system: str) -> None:
    service = Service(ScriptedEngine())
    wide = dataclasses.replace(CHOICES, context_tokens=8192, system=system)
    _, planned = await plan(service, chat(*answers), wide)
    assert planned.window.tokens == await service.count_tokens(planned.messages)


async def test_a_turn_alone(service: Service) -> None:
    assert await turn_tokens(service, chat("two words").turns[0]) == 4 + 2 + 4 + 2
