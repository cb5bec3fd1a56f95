"""Two requests at once, which the engine answers in one batch, and both answers as they come."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass

from qwen_app.messages import GenerationRequest, JsonObject, Message, PromptPolicy
from qwen_app.service import Service
from qwen_app.ui.compare.comparison import Comparison, SideAnswer, SideSettings
from qwen_app.ui.shared.generation_controls import SEED_MAX
from qwen_app.ui.shared.run_line import run_of
from qwen_app.ui.shared.stream import Progress, follow

Pair = tuple[Progress, Progress]
_Arrived = asyncio.Queue[tuple[int, Progress | None]]  # which side, and how far it is; None: it is over


@dataclass(frozen=True, slots=True)
class CompareTask:
    """One prompt, and what each column asks it with."""

    prompt: str
    sides: tuple[SideSettings, SideSettings]
    max_tokens: int


async def both_answers(
    service: Service, task: CompareTask, user: str, stop: asyncio.Event
) -> AsyncGenerator[Pair, None]:
    """Snapshots of both until the last has ended. One seed for both: what differs comes from the settings."""
    seed = random.randint(0, SEED_MAX)
    requests = [_request(service, task, side, user, seed) for side in task.sides]
    arrived: _Arrived = asyncio.Queue()
    readers = [asyncio.create_task(_read(service, request, n, stop, arrived)) for n, request in enumerate(requests)]
    newest, open_sides = [Progress(), Progress()], len(readers)
    try:
        while open_sides:
            number, progress = await arrived.get()
            open_sides -= progress is None
            if progress is not None:
                newest[number] = progress
                yield newest[0], newest[1]
    finally:
        await _cancelled(readers)


def comparison_of(task: CompareTask, pair: Pair) -> Comparison:
    """The record of two answers that are over."""
    left, right = (
        SideAnswer(side, progress.text, run_of(progress)) for progress, side in zip(pair, task.sides, strict=True)
    )
    return Comparison(task.prompt, left, right)


async def _read(
    service: Service, request: GenerationRequest, number: int, stop: asyncio.Event, arrived: _Arrived
) -> None:
    try:
        async with aclosing(service.generate(request)) as events, aclosing(follow(events, stop)) as snapshots:
            async for progress in snapshots:
                arrived.put_nowait((number, progress))
    finally:
        arrived.put_nowait((number, None))


def _request(service: Service, task: CompareTask, side: SideSettings, user: str, seed: int) -> GenerationRequest:
    system = [Message("system", side.system)] if side.system.strip() else []
    sampling = service.sampling(temperature=side.temperature, top_p=side.top_p, max_tokens=task.max_tokens, seed=seed)
    return GenerationRequest(
        request_id=service.new_request_id(),
        messages=(*system, Message("user", task.prompt)),
        sampling=sampling,
        user=user,
        grammar=JsonObject() if side.json_mode else None,
        policy=PromptPolicy(cap_answer=True),
    )


async def _cancelled(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    for task in tasks:
        with suppress(asyncio.CancelledError):
            await task
