"""A recorded chat shown again as it came about: each answer after the wait and at the speed it had. No model is asked.

What is kept of an answer is when its text came, of older ones when the first token did and the last; between what is
known it is written evenly. Where nothing is kept, as in a chat from elsewhere, a usual speed stands in.
"""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass

from qwen_app.ui.conversations.conversation import Conversation, Turn
from qwen_app.ui.scores.pace import Point, share_at
from qwen_app.ui.shared.stream import Progress

FRAME_S = 0.05
READING_S = 1.5  # between an answer and the next question: how long somebody took is not kept
ASSUMED_WAIT_S = 0.4
ASSUMED_CHARS_PER_S = 120.0
SPEEDS = (1, 2, 4)
Sleep = Callable[[float], Awaitable[None]]
Frame = tuple[Conversation, Progress | None]


@dataclass(frozen=True, slots=True)
class Timing:
    """Of one answer: seconds to its first token, and from there to its last. ``kept`` says that they were recorded."""

    wait_s: float
    write_s: float
    kept: bool
    pace: tuple[Point, ...] = ()

    def share(self, passed_s: float) -> float:
        """How much of the answer was there so many seconds after it was asked for, from 0 to 1."""
        total_s = self.wait_s + self.write_s
        if self.pace:
            return share_at(self.pace, passed_s, total_s, self.pace[-1][1])
        writing_s = passed_s - self.wait_s
        return min(1.0, writing_s / self.write_s) if writing_s > 0 and self.write_s else 0.0

    @classmethod
    def of(cls, turn: Turn) -> Timing:
        run = turn.run
        if run is not None and 0 < run.first_token_s <= run.total_s:
            return cls(run.first_token_s, run.total_s - run.first_token_s, kept=True, pace=run.pace)
        return cls(ASSUMED_WAIT_S, len(turn.answer) / ASSUMED_CHARS_PER_S, kept=False)


class Replay:
    """One showing of ``recorded``. ``paused`` and ``speed`` may be changed while it runs, ``stop`` ends it."""

    def __init__(
        self, recorded: Conversation, sleep: Sleep = asyncio.sleep, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.recorded = recorded
        self.paused = False
        self.speed = SPEEDS[0]
        self.over = False
        self._sleep = sleep
        self._clock = clock

    @property
    def timed(self) -> bool:
        """Whether all of it has the times it was recorded with."""
        return all(Timing.of(turn).kept for turn in self.recorded.turns)

    def stop(self) -> None:
        self.over = True

    async def frames(self) -> AsyncGenerator[Frame, None]:
        """The chat as it was at each moment. The progress is that of the answer being written, None between answers."""
        turns = self.recorded.turns
        for number, turn in enumerate(turns):
            before = turns[:number]
            async for frame in self._answer(before, turn):
                yield frame
            if self.over:
                return
            yield dataclasses.replace(self.recorded, turns=(*before, turn)), None
            async for _ in self._seconds(READING_S if number + 1 < len(turns) else 0.0):
                yield dataclasses.replace(self.recorded, turns=(*before, turn)), None

    async def _answer(self, before: tuple[Turn, ...], turn: Turn) -> AsyncGenerator[Frame, None]:
        timing = Timing.of(turn)
        tokens = turn.run.completion_tokens if turn.run else 0
        async for passed_s in self._seconds(timing.wait_s + timing.write_s):
            share = timing.share(passed_s)
            written = dataclasses.replace(turn, answer=turn.answer[: int(share * len(turn.answer))], run=None)
            progress = Progress(
                phase="writing" if share else "waiting",
                text=written.answer,
                completion_tokens=int(share * tokens),
                first_token_s=timing.wait_s,
                elapsed_s=passed_s,
            )
            yield dataclasses.replace(self.recorded, turns=(*before, written)), progress

    async def _seconds(self, length_s: float) -> AsyncGenerator[float, None]:
        """The seconds that have passed of so many, as the replay's clock has them, which may stand still."""
        passed_s = 0.0
        while passed_s < length_s and not self.over:
            before_s = self._clock()
            yield passed_s  # drawing takes its time too
            await self._sleep(FRAME_S)
            passed_s += 0.0 if self.paused else (self._clock() - before_s) * self.speed
