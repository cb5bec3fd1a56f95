"""Engine events as snapshots of the answer so far, throttled to what a page can draw."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Literal

from qwen_app.errors import EngineError
from qwen_app.messages import Delta, Event, Failed, Finished, Planned, Prefill, Queued, Thought
from qwen_app.summaries.values import ReadingStep
from qwen_app.ui.scores.pace import Point, with_point
from qwen_app.ui.scores.scored_token import ScoredToken, scored
from qwen_app.ui.shared.throttle import latest

log = logging.getLogger(__name__)

Happenings = AsyncGenerator[Event | ReadingStep, None]  # on the way to an answer, which may take several requests


@dataclass(frozen=True, slots=True)
class Progress:
    """An answer so far. Times are seconds since it was asked for; ``end`` is set once, on the last snapshot.

    ``phase`` ``stopped`` means that the caller stopped it: then there is no ``end``. ``planned`` is None while, or
    where, no prompt could be made. ``step`` says which of several requests this is, where one takes more than one, and
    ``pace`` when the text came.
    """

    phase: Literal["waiting", "queued", "prefill", "writing", "ended", "stopped"] = "waiting"
    text: str = ""
    planned: Planned | None = None
    position: int = 0
    prompt_done: int = 0
    prompt_tokens: int = 0
    reused_tokens: int = 0
    completion_tokens: int = 0
    first_token_s: float = 0.0
    elapsed_s: float = 0.0
    end: Finished | Failed | None = None
    scores: tuple[ScoredToken, ...] = ()
    step: ReadingStep | None = None
    pace: tuple[Point, ...] = ()

    @property
    def over(self) -> bool:
        return self.phase in ("ended", "stopped")


def after(progress: Progress, event: Event | ReadingStep, elapsed_s: float) -> Progress:
    """``progress`` once ``event`` has come, ``elapsed_s`` seconds in."""
    change = dataclasses.replace
    if isinstance(event, ReadingStep):
        return change(progress, step=event, phase="waiting", prompt_done=0, prompt_tokens=0, reused_tokens=0)
    if isinstance(event, Planned):
        return change(progress, planned=event)
    if isinstance(event, Queued):
        return change(progress, phase="queued", position=event.position)
    if isinstance(event, Prefill):
        return change(
            progress,
            phase="prefill",
            prompt_done=event.done,
            prompt_tokens=event.total,
            reused_tokens=event.reused,
        )
    if isinstance(event, Thought):
        return change(
            progress,
            phase="writing",
            completion_tokens=progress.completion_tokens + 1,
            first_token_s=progress.first_token_s or elapsed_s,
        )
    if isinstance(event, Delta):
        return change(
            progress,
            phase="writing",
            text=progress.text + event.text,
            completion_tokens=progress.completion_tokens + (len(event.token_ids) or bool(event.text)),
            first_token_s=progress.first_token_s or elapsed_s,
            scores=scored(progress.scores, event.logprobs),
            pace=with_point(progress.pace, elapsed_s, len(progress.text) + len(event.text)),
        )
    if isinstance(event, Finished | Failed):
        return change(progress, phase="ended", end=event)
    return progress


async def follow(events: Happenings, stop: asyncio.Event) -> AsyncGenerator[Progress, None]:
    """Snapshots of ``events`` until their end, or until ``stop`` is set, which cancels them wherever they are.

    Raises nothing: events that break, or end without an end, are a failed answer.
    """
    started = _now()
    last = Progress()
    async with aclosing(latest(_progress(events), stop)) as snapshots:
        async for snapshot in snapshots:
            last = dataclasses.replace(snapshot, elapsed_s=_now() - started)
            if not last.over:
                yield last
    yield last if last.over else dataclasses.replace(last, phase="stopped")


async def _progress(events: Happenings) -> AsyncGenerator[Progress, None]:
    """The answer so far: once before the first event, and after each."""
    started = _now()
    progress = Progress()
    yield progress
    try:
        async for event in events:
            progress = after(progress, event, _now() - started)
            yield progress
        broke = "The answer broke off. Try again."
    except Exception:
        log.exception("the event stream broke")
        broke = "Something went wrong on the server. Try again."
    if not progress.over:
        yield after(progress, Failed(EngineError(broke), progress.text), _now() - started)


def _now() -> float:
    return asyncio.get_running_loop().time()
