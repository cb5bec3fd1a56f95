"""The engine's answers to one HTTP request: admitted together, read as one stream, closed together."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing

from qwen_app.api.protocol.response_bodies import Truncation
from qwen_app.errors import EngineUnavailable
from qwen_app.messages import Delta, Event, Failed, Finished, GenerationRequest, Planned, Prefill
from qwen_app.service import Service

log = logging.getLogger(__name__)

DROPPED_HEADER = "x-truncated-messages"
MERGE_LIMIT = 64  # events of one choice that wait for a slow reader

Charge = Callable[[int], None]


class Generation:
    """``len(requests)`` answers. ``on_close`` is told how many tokens they cost, once, when all is over."""

    def __init__(self, service: Service, requests: Sequence[GenerationRequest], on_close: Charge) -> None:
        self._answers = [service.generate(request) for request in requests]
        self._on_close = on_close
        self._queue: asyncio.Queue[tuple[int, Event]] = asyncio.Queue(MERGE_LIMIT * len(requests))
        self._pumps: list[asyncio.Task[None]] = []
        self._cost: dict[int, int] = {}
        self._closed = False
        self.planned: Planned | None = None  # known once admitted

    async def admit(self) -> None:
        """Take a queue place for every answer. Raises what the engine refused with; then nothing runs."""
        try:
            if len(self._answers) == 1:
                while not self._admitted(await anext(self._answers[0])):
                    pass
            else:
                await self._admit_all()
        except BaseException:
            await self.aclose()
            raise

    async def _admit_all(self) -> None:
        loop = asyncio.get_running_loop()
        first: list[asyncio.Future[Event]] = [loop.create_future() for _ in self._answers]
        self._pumps = [
            asyncio.create_task(self._pump(index, answer, future))
            for index, (answer, future) in enumerate(zip(self._answers, first, strict=True))
        ]
        for event in await asyncio.gather(*first):
            self._admitted(event)

    def truncation(self) -> Truncation | None:
        """What was left out of the prompt, once admitted; None when that is nothing."""
        planned = self.planned
        if planned is None or not planned.dropped_messages:
            return None
        return Truncation(dropped_messages=planned.dropped_messages, prompt_tokens=planned.prompt_tokens or 0)

    def _admitted(self, event: Event) -> bool:
        """Whether ``event`` says that the engine took the request. Raises what it was refused with."""
        if isinstance(event, Failed):
            raise event.error
        if isinstance(event, Planned):
            self.planned = event
        return not isinstance(event, Planned)

    async def _pump(self, index: int, answer: AsyncGenerator[Event, None], first: asyncio.Future[Event]) -> None:
        stopped = Failed(EngineUnavailable("The engine stopped. Try again in a minute."))
        ended = False
        try:
            async for event in answer:
                ended = isinstance(event, Finished | Failed)
                if not first.done():
                    if isinstance(event, Failed) or self._admitted(event):
                        first.set_result(event)
                else:
                    await self._queue.put((index, event))
        except Exception:  # nobody waits for this task: who reads its events has to hear of it
            log.exception("an answer broke off")
        finally:
            await answer.aclose()
            if not first.done():
                first.set_result(stopped)
            elif not ended:
                self._queue.put_nowait((index, stopped))

    async def events(self) -> AsyncGenerator[tuple[int, Event], None]:
        """Every event with the index of its answer. Raises the first failure: then no other answer counts."""
        if self._pumps:
            open_answers = len(self._answers)
            while open_answers:
                index, event = await self._queue.get()
                open_answers -= isinstance(event, Finished | Failed)
                self._count(index, event)
                yield index, event
        else:
            async for event in self._answers[0]:
                self._count(0, event)
                yield 0, event

    def _count(self, index: int, event: Event) -> None:
        if isinstance(event, Delta):
            self._cost[index] = self._cost.get(index, 0) + len(event.token_ids)
        elif isinstance(event, Prefill):
            self._cost[index] = event.total
        elif isinstance(event, Finished):
            self._cost[index] = event.usage.prompt_tokens + event.usage.completion_tokens
        elif isinstance(event, Failed):
            raise event.error

    async def aclose(self) -> None:
        """Cancel what still runs. Safe to call twice."""
        if self._closed:
            return
        self._closed = True
        try:
            for pump in self._pumps:
                pump.cancel()
            await asyncio.gather(*self._pumps, return_exceptions=True)
            for answer in self._answers:
                await answer.aclose()
        finally:
            self._on_close(sum(self._cost.values()))


class PromptReading(Generation):
    """Reads the prompts and says nothing. Engines draw a token all the same, which costs nothing more: it is not
    shown."""

    async def events(self) -> AsyncGenerator[tuple[int, Event], None]:
        async with aclosing(super().events()) as events:
            async for index, event in events:
                if isinstance(event, Finished):
                    usage = dataclasses.replace(event.usage, completion_tokens=0)
                    event = dataclasses.replace(event, reason="length", usage=usage)
                if not isinstance(event, Delta):
                    yield index, event


def choices_of(request: GenerationRequest, n: int) -> list[GenerationRequest]:
    """``n`` requests that differ in their id and, where one is given, in their seed."""
    if n == 1:
        return [request]
    seed = request.sampling.seed
    return [
        dataclasses.replace(
            request,
            request_id=f"{request.request_id}-{index}",
            sampling=dataclasses.replace(request.sampling, seed=None if seed is None else seed + index),
        )
        for index in range(n)
    ]
