from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from qwen_app.errors import EngineError
from qwen_app.messages import Failed, Finished, Timings, Usage
from qwen_app.ui.chat.conversation import Conversation, Run, Turn
from qwen_app.ui.chat.view import chat_messages, run_line, run_of, turn_of, waiting_line
from qwen_app.ui.shared.stream import Progress
from qwen_app.ui.shared.strings import Texts

EN, ZH = Texts("en"), Texts("zh")
RUN = Run("stop", 1200, 34, 1000, first_token_s=0.5, total_s=2, tokens_per_s=20.04, seed=7)


def parts(turn: Turn, progress: Progress | None = None, **conversation: Any) -> list[str]:
    message = chat_messages(Conversation(turns=(turn,), **conversation), EN, progress)[1]
    assert all(part["type"] == "text" for part in message["content"])
    return [part["text"] for part in message["content"]]


def test_two_messages_a_turn() -> None:
    messages = chat_messages(Conversation(turns=(Turn("q", "a", run=RUN), Turn("r"))), EN)
    assert [message["role"] for message in messages] == ["user", "assistant", "user", "assistant"]
    assert [turn_of(index) for index in range(4)] == [0, 0, 1, 1]


def test_the_line_under_an_answer() -> None:
    assert run_line(RUN, EN) == (
        "Finished · first token 0.50 s · 20.0 tokens/s · 1,200 + 34 tokens · 1,000 reused · seed 7"
    )
    assert run_line(Run("length", closed=True), ZH) == "达到最长回答后截断 · 已补全为有效 JSON"


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


def test_records_of_answers() -> None:
    writing = Progress("ended", text="ab", prompt_tokens=9, completion_tokens=3, first_token_s=1, elapsed_s=2)
    end = Finished("length", Usage(9, 3, 4), Timings(0.1, 0.6, 1.6), seed=5, closed=True)
    finished = run_of(dataclasses.replace(writing, end=end))
    assert (finished.reason, finished.tokens_per_s, finished.seed, finished.closed) == ("length", 2.0, 5, True)
    failed = run_of(dataclasses.replace(writing, end=Failed(EngineError("no"), "ab")))
    assert (failed.reason, failed.error_code, failed.error_text) == ("failed", "engine_error", "no")
    stopped = run_of(dataclasses.replace(writing, phase="stopped"))
    assert (stopped.reason, stopped.completion_tokens, stopped.tokens_per_s) == ("cancelled", 3, 2.0)
    assert run_of(Progress("stopped")).tokens_per_s == 0
