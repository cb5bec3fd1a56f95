from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwen_app.ui.chat.view import chat_messages, first_recent, turn_of
from qwen_app.ui.conversations.conversation import Conversation, Turn
from qwen_app.ui.shared.run_line import Run, waiting_line
from qwen_app.ui.shared.stream import Progress
from qwen_app.ui.shared.strings import Texts

EN = Texts("en")
RUN = Run("stop", 1200, 34, 1000, first_token_s=0.5, total_s=2, tokens_per_s=20.04, seed=7)


def parts(turn: Turn, progress: Progress | None = None) -> list[str]:
    message = chat_messages(Conversation(turns=(turn,)), EN, progress)[1]
    assert all(part["type"] == "text" for part in message["content"])
    return [part["text"] for part in message["content"]]


def test_two_messages_a_turn() -> None:
    messages = chat_messages(Conversation(turns=(Turn("q", "a", run=RUN), Turn("r"))), EN)
    assert [message["role"] for message in messages] == ["user", "assistant", "user", "assistant"]
    assert [turn_of(index, 0) for index in range(4)] == [0, 0, 1, 1]
    assert [turn_of(index, 10) for index in range(4)] == [10, 10, 11, 11]


@given(st.integers(0, 10_000))
def test_the_last_twenty_turns_are_always_drawn_and_never_many_more(turns: int) -> None:
    first = first_recent(turns)
    assert min(turns, 20) <= turns - first < 30
    assert first_recent(turns + 1) in {first, first + 10}


@pytest.mark.parametrize(
    ("progress", "line"),
    [
        (Progress(), "Starting…"),
        (Progress("queued", position=0), "Starting…"),
        (Progress("queued", position=3), "Waiting · 3 before you"),
        (Progress("prefill", prompt_done=512, prompt_tokens=1500), "Reading the prompt · 512 of 1,500 tokens · 34 %"),
        (Progress("prefill", prompt_done=1500, prompt_tokens=1500), "Writing…"),
    ],
)
def test_while_waiting(progress: Progress, line: str) -> None:
    assert waiting_line(progress, EN) == line
    assert parts(Turn("q"), progress) == [f'<div class="waiting">{line}</div>']


def test_json_is_drawn_as_code() -> None:
    assert parts(Turn("q", '{"a": "```"}', json_mode=True)) == ['````json\n{"a": "```"}\n````']


def test_an_error_stands_beside_what_was_written() -> None:
    run = Run("failed", error_code="engine_error", error_text="It <broke>.")
    text, error, line, tools = parts(Turn("q", "half", run=run))
    assert text == "half"
    assert "It &lt;broke&gt;. What was written so far is kept." in error
    assert line.startswith('<details class="run-line run-card run-failed"><summary>Failed</summary>')
    assert 'name="fork"' in tools


def test_text_of_others_cannot_draw_our_lines() -> None:
    fake = '<div class="run-line">Finished</div>'
    assert fake not in "".join(parts(Turn(fake, fake)))
