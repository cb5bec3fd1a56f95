"""The measurement: sizes one after the other, and of each two rounds with all its users at once.

In the first round everybody's question is read and one token written: the time to the first token. In the second the
same is asked again, still known from the first, and all write side by side until each has tokens enough: the speed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from statistics import median

from qwen_app.errors import AppError
from qwen_app.messages import Delta, Failed, Finished, GenerationRequest, Message, Prefill
from qwen_app.performance.prompts import PromptMaker
from qwen_app.performance.values import ANSWER_TOKENS, BenchRun, Figure, Size
from qwen_app.service import Service

ROOM_TOKENS = 512  # of a conversation that the answer may take
ROOM_SHARE = 4  # but no more than this part of it
FEWEST_TOKENS = 8  # of each user, below which there is no speed to tell
LONGEST_DECODE_S = 10.0  # a slow machine has said enough by then
IDLE_S = 5.0  # how long answers that were cut may take to leave the engine
LOOK_S = 0.1


def is_busy(service: Service) -> bool:
    """Whether anybody is being answered, or waits."""
    health = service.health()
    return bool(health.running or health.queued)


@dataclass(slots=True)
class _Answer:
    """When the tokens of one user came, in seconds of the monotonic clock."""

    submitted: float
    times: list[float] = field(default_factory=list)  # one for each token
    prompt_tokens: int = 0
    reused_tokens: int = 0

    @property
    def first_token_s(self) -> float:
        return self.times[0] - self.submitted

    def see(self, event: object, now: float) -> None:
        if isinstance(event, Prefill):
            self.prompt_tokens, self.reused_tokens = event.total, event.reused
        elif isinstance(event, Finished):
            self.prompt_tokens, self.reused_tokens = event.usage.prompt_tokens, event.usage.reused_tokens
        elif isinstance(event, Delta):
            self.times += [now] * max(1, len(event.token_ids))

    def between(self, start: float, end: float) -> int:
        """How many tokens came then."""
        return sum(start < at <= end for at in self.times)


@dataclass(slots=True)
class _Round:
    """Answers side by side. ``enough`` ends them all, ``others`` came meanwhile."""

    answers: list[_Answer]
    enough: asyncio.Event = field(default_factory=asyncio.Event)
    others: bool = False
    error: AppError | None = None

    @property
    def begun(self) -> int:
        return sum(bool(answer.times) for answer in self.answers)

    def look(self, now: float) -> None:
        """Whether there is enough to know."""
        if self.begun < len(self.answers):
            return
        start = max(answer.times[0] for answer in self.answers)
        made = min(answer.between(start, now) for answer in self.answers)
        if made >= ANSWER_TOKENS or now - start > LONGEST_DECODE_S:
            self.enough.set()

    def tokens_per_s(self) -> float:
        """Of all together, from when all were being answered to when the first had ended."""
        start = max(answer.times[0] for answer in self.answers)
        end = min(answer.times[-1] for answer in self.answers)
        inside = [answer.between(start, end) for answer in self.answers]
        return sum(inside) / (end - start) if min(inside) >= FEWEST_TOKENS else 0.0


class Measurement:
    """Measures through ``service``. ``alone`` makes way for whoever else asks something; ``held_bytes`` says what the
    process of the model holds."""

    def __init__(
        self, service: Service, *, user: str, alone: bool = True, held_bytes: Callable[[], int] = lambda: 0
    ) -> None:
        self._service = service
        self._user = user
        self._alone = alone
        self._held_bytes = held_bytes
        self._prompts = PromptMaker(service)

    async def run(self, sizes: Sequence[Size]) -> AsyncGenerator[BenchRun, None]:
        """The run so far, several times a second; the last has its ``end``. Closing the iterator cancels it all."""
        run = BenchRun(tuple(sizes))
        try:
            for size in sizes:
                if not await self._idle():
                    yield replace(run, end="others")
                    return
                async with aclosing(self._size(replace(run, now=size, answered=0), size)) as snapshots:
                    async for run in snapshots:
                        yield run
                if run.end is not None:
                    return
            yield replace(run, now=None, end="done")
        except AppError as refused:
            yield replace(run, now=None, end="failed", problem=refused.message)

    async def _idle(self) -> bool:
        """Whether nobody is being answered, once what was cut before has left."""
        deadline = time.monotonic() + IDLE_S
        while self._alone and is_busy(self._service):
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(LOOK_S)
        return True

    async def _size(self, run: BenchRun, size: Size) -> AsyncGenerator[BenchRun, None]:
        yield run
        room_tokens = min(ROOM_TOKENS, size.context_tokens // ROOM_SHARE)
        questions = [await self._prompts.make(size.context_tokens - room_tokens) for _ in range(size.users)]
        reading, writing = _Round([]), _Round([])
        for now, answer_tokens in ((reading, 1), (writing, room_tokens)):
            async with aclosing(self._round(now, questions, answer_tokens)) as counts:
                async for begun in counts:
                    yield replace(run, answered=begun)
            broken = self._broken(run, now)
            if broken is not None:
                yield broken
                return
        firsts_s = [answer.first_token_s for answer in reading.answers]
        figure = Figure(
            size,
            max(answer.prompt_tokens for answer in reading.answers),
            median(firsts_s),
            max(firsts_s),
            writing.tokens_per_s(),
            sum(answer.reused_tokens for answer in reading.answers),
            self._held_bytes(),
        )
        yield replace(run, figures=(*run.figures, figure))

    async def _round(self, now: _Round, questions: Sequence[Message], answer_tokens: int) -> AsyncGenerator[int, None]:
        """How many have begun to be answered, until all have ended or there is enough."""
        now.answers = [_Answer(time.monotonic()) for _ in questions]
        waiting = {
            asyncio.create_task(self._ask(question, answer_tokens, answer, now))
            for question, answer in zip(questions, now.answers, strict=True)
        }
        tasks = list(waiting)
        try:
            while waiting and not now.others:
                _, waiting = await asyncio.wait(waiting, timeout=LOOK_S)
                health = self._service.health()
                now.others = self._alone and health.running + health.queued > len(questions)
                yield now.begun
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _broken(self, run: BenchRun, now: _Round) -> BenchRun | None:
        """The run's end where ``now`` is no round to count."""
        if now.others:
            return replace(run, now=None, end="others")
        if now.error is not None:
            return replace(run, now=None, end="failed", problem=now.error.message)
        if now.begun < len(now.answers):
            return replace(run, now=None, end="failed", problem="An answer ended before it began.")
        return None

    async def _ask(self, question: Message, answer_tokens: int, answer: _Answer, round_: _Round) -> None:
        request = GenerationRequest(
            self._service.new_request_id(),
            (question,),
            sampling=self._service.sampling(temperature=0.0, max_tokens=answer_tokens, ignore_eos=True),
            user=self._user,
        )
        async with aclosing(self._service.generate(request)) as events:
            async for event in events:
                now = time.monotonic()
                answer.see(event, now)
                if isinstance(event, Failed):
                    round_.error = event.error
                    round_.enough.set()
                round_.look(now)
                if round_.enough.is_set():
                    return
