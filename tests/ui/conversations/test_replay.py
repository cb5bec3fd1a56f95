"""A replay: the recorded times, a pause, a speed, an end; and a usual speed where nothing was recorded."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest

from qwen_app.ui.conversations.conversation import Conversation, answer, ask
from qwen_app.ui.conversations.replay import ASSUMED_CHARS_PER_S, ASSUMED_WAIT_S, FRAME_S, READING_S, Frame, Replay
from qwen_app.ui.shared.run_line import Run

pytestmark = pytest.mark.anyio
TIMED = Run("stop", completion_tokens=20, first_token_s=1.0, total_s=3.0)


def chat(*runs: Run) -> Conversation:
    made = Conversation()
    for number, run in enumerate(runs):
        made = answer(ask(made, f"question {number}"), "ten words, " * 10, run)
    return made


class Showing:
    """A replay whose clock is the number of its frames."""

    def __init__(self, recorded: Conversation) -> None:
        self.replay = Replay(recorded, self.sleep, lambda: self.slept_s)
        self.slept_s = 0.0
        self.frames: list[Frame] = []
        self.do: Callable[[], object] = list  # which does nothing

    async def sleep(self, seconds: float) -> None:
        self.slept_s += seconds
        self.do()

    async def run(self) -> list[str]:
        async for frame in self.replay.frames():
            self.frames.append(frame)
        return [conversation.last.answer for conversation, _ in self.frames]


async def test_an_answer_takes_as_long_as_it_did() -> None:
    showing = Showing(chat(TIMED))
    texts = await showing.run()
    assert showing.replay.timed
    assert showing.slept_s == pytest.approx(TIMED.total_s, abs=2 * FRAME_S)
    waiting = sum(text == "" for text in texts) * FRAME_S
    assert waiting == pytest.approx(TIMED.first_token_s, abs=3 * FRAME_S)
    assert texts == sorted(texts, key=len)
    assert showing.frames[-1][0] == chat_of(showing)
    middle = showing.frames[len(showing.frames) * 2 // 3][1]
    assert middle is not None
    assert middle.phase == "writing"
    assert 5 < middle.completion_tokens < 15


async def test_it_is_written_as_it_came() -> None:
    stalled = dataclasses.replace(TIMED, pace=((1.0, 10), (1.5, 100), (2.5, 101), (3.0, 110)))
    showing = Showing(chat(stalled))
    texts = await showing.run()
    lengths = {round(number * FRAME_S, 2): len(text) for number, text in enumerate(texts)}
    assert lengths[0.9] == 0
    assert lengths[2.4] - lengths[1.6] <= 1
    assert lengths[1.55] >= 99


def chat_of(showing: Showing) -> Conversation:
    return showing.replay.recorded


async def test_questions_come_one_after_the_other() -> None:
    showing = Showing(chat(TIMED, TIMED))
    await showing.run()
    assert showing.slept_s == pytest.approx(2 * TIMED.total_s + READING_S, abs=4 * FRAME_S)
    sizes = [len(conversation.turns) for conversation, _ in showing.frames]
    assert sizes == sorted(sizes)
    assert set(sizes) == {1, 2}


@pytest.mark.parametrize("run", [Run("cancelled"), Run("stop", first_token_s=5.0, total_s=1.0)])
async def test_where_no_time_was_kept_a_usual_one_stands_in(run: Run) -> None:
    showing = Showing(chat(run))
    await showing.run()
    assert not showing.replay.timed
    usual_s = ASSUMED_WAIT_S + len("ten words, " * 10) / ASSUMED_CHARS_PER_S
    assert showing.slept_s == pytest.approx(usual_s, abs=2 * FRAME_S)


async def test_pause_stands_still_and_speed_shortens() -> None:
    showing = Showing(chat(TIMED))
    showing.replay.speed = 4
    await showing.run()
    assert showing.slept_s == pytest.approx(TIMED.total_s / 4, abs=2 * FRAME_S)
    held = Showing(chat(TIMED))

    def hold() -> None:
        held.replay.paused = held.slept_s < 10

    held.do = hold
    await held.run()
    assert held.slept_s == pytest.approx(10 + TIMED.total_s, abs=3 * FRAME_S)


async def test_stop_ends_it_in_the_middle() -> None:
    showing = Showing(chat(TIMED, TIMED))
    showing.do = showing.replay.stop
    await showing.run()
    assert showing.slept_s == FRAME_S


async def test_an_empty_chat_has_nothing_to_show() -> None:
    assert await Showing(Conversation()).run() == []
