from __future__ import annotations

import pytest

from qwen_app.ui.chat.conversation import Conversation, Turn
from qwen_app.ui.chat.view import chat_messages, turn_of
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
    assert [turn_of(index) for index in range(4)] == [0, 0, 1, 1]


@pytest.mark.parametrize(
    ("progress", "line"),
    [
        (Progress(), "Starting…"),
        (Progress("queued", position=0), "Starting…"),
        (Progress("queued", position=3), "Waiting · 3 before you"),
        (Progress("prefill", prompt_done=512, prompt_tokens=1500), "Reading the prompt · 512 of 1,500 tokens"),
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
    text, error, line = parts(Turn("q", "half", run=run))
    assert text == "half"
    assert "It &lt;broke&gt;. What was written so far is kept." in error
    assert line == '<div class="run-line run-failed">Failed</div>'


def test_turns_left_out_are_marked_once() -> None:
    turns = tuple(Turn(f"q{i}", "a", run=RUN) for i in range(4))
    messages = chat_messages(Conversation(turns=turns, window_start=2), EN)
    marked = [i for i, message in enumerate(messages) if any("left-out" in p["text"] for p in message["content"])]
    assert marked == [3]


def test_text_of_others_cannot_draw_our_lines() -> None:
    fake = '<div class="run-line">Finished</div>'
    assert fake not in "".join(parts(Turn(fake, fake)))
