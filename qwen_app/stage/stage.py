"""The presenter's hand on all that is answered: what is new can be paused, what is running can be ended."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import aclosing

from qwen_app.errors import AnswersPaused, AppError, StoppedByPresenter
from qwen_app.messages import Delta, Event, Failed, Finished, GenerationRequest


class Stage:
    """For one event loop. While it is paused, only requests of ``paused_by`` are answered."""

    def __init__(self) -> None:
        self.paused_by: str | None = None
        self._answers: set[_StageAnswer] = set()

    @property
    def paused(self) -> bool:
        return self.paused_by is not None

    def pause(self, by: str) -> None:
        """Refuse what is new, but what the user ``by`` asks. Running answers go on."""
        self.paused_by = by

    def resume(self) -> None:
        self.paused_by = None

    def check(self, user: str) -> None:
        """Raises AnswersPaused where ``user`` may ask nothing just now."""
        if self.paused and user != self.paused_by:
            raise AnswersPaused

    def stop(self, user: str = "", error: AppError | None = None) -> int:
        """End the answers of ``user``, or of everybody, with ``error``; how many there were."""
        found = [answer for answer in self._answers if user in ("", answer.user)]
        for answer in found:
            answer.stop(error or StoppedByPresenter())
        return len(found)

    def running(self) -> Counter[str]:
        """How many answers wait or are being written, by user."""
        return Counter(answer.user for answer in self._answers)

    async def watched(
        self, request: GenerationRequest, events: AsyncGenerator[Event, None]
    ) -> AsyncGenerator[Event, None]:
        """``events``, until they end or are stopped. Raises AnswersPaused before the first."""
        self.check(request.user)
        answer = _StageAnswer(request.user)
        self._answers.add(answer)
        try:
            async with aclosing(events), aclosing(answer.events(events)) as watched:
                async for event in watched:
                    yield event
        finally:
            self._answers.discard(answer)


class _StageAnswer:
    """An answer that can be ended from elsewhere, wherever it waits: as ``asyncio.timeout`` does it, which costs
    nothing a token."""

    def __init__(self, user: str) -> None:
        self.user = user
        self._error: AppError | None = None
        self._waiting: asyncio.Task[object] | None = None

    def stop(self, error: AppError) -> None:
        if self._error is None:
            self._error = error
            if self._waiting is not None:
                self._waiting.cancel()

    async def events(self, events: AsyncGenerator[Event, None]) -> AsyncGenerator[Event, None]:
        written: list[str] = []
        over = False
        while self._error is None:
            event = await self._next(events)
            if event is None:
                break
            over = isinstance(event, Finished | Failed)
            if isinstance(event, Delta):
                written.append(event.text)
            yield event
        if self._error is not None and not over:
            yield Failed(self._error, "".join(written))

    async def _next(self, events: AsyncGenerator[Event, None]) -> Event | None:
        """The next event; None at the end, or where the answer was stopped meanwhile."""
        self._waiting = task = asyncio.current_task()
        try:
            return await anext(events, None)
        except asyncio.CancelledError:
            if self._error is None or (task is not None and task.uncancel() > 0):
                raise  # whoever asked has left
            return None
        finally:
            self._waiting = None
