"""A chat of megabytes, as a file can bring in: its end is drawn, what is before stands there as it was written."""

from __future__ import annotations

import time

import pytest

from qwen_app.ui.chat.view import DRAWN_WEIGHT, chat_messages
from qwen_app.ui.conversations.conversation import Conversation, Turn
from qwen_app.ui.shared.run_line import Run
from qwen_app.ui.shared.strings import Texts

WORK_S = 2.0  # of the processor, where it took ten; a quarter on a machine that is not busy


def chat(*answers: str) -> Conversation:
    turns = tuple(Turn("why?", answer, run=Run("stop"), id=str(number)) for number, answer in enumerate(answers))
    return Conversation("c", turns=turns)


@pytest.mark.parametrize("answer", ["\n<", "**a** ", "`a` ", "$$a$$ ", "`"])
def test_megabytes_are_not_drawn(answer: str) -> None:
    started = time.thread_time()
    drawn = chat_messages(chat(answer * (4_000_000 // len(answer))), Texts("en"))
    assert time.thread_time() - started < WORK_S
    text = drawn[1]["content"][0]["text"]
    assert answer * 1000 in text
    mark = text[: len(text) - len(text.lstrip("`"))]
    assert len(mark) >= 3
    assert text.rstrip().endswith(f"\n{mark}")
    assert mark not in text[len(mark) : -len(mark) - 1]


def test_the_end_of_a_long_chat_is_drawn() -> None:
    drawn = chat_messages(chat("**old** " * DRAWN_WEIGHT, "**new**"), Texts("en"))
    assert drawn[1]["content"][0]["text"].startswith("```")
    assert drawn[3]["content"][0]["text"] == "**new**"
