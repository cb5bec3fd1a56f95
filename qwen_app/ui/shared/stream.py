"""Engine events as snapshots for a page: at most ten a second, and at least one, so that a closed tab is noticed."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from collections.abc import AsyncGenerator
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

from qwen_app.errors import EngineError
from qwen_app.messages import Delta, Event, Failed, Finished, Prefill, Queued

log = logging.getLogger(__name__)

PERIOD_S = 0.1
SIGN_OF_LIFE_S = 1.0


@dataclass(frozen=True, slots=True)
class Progress:
    """An answer so far. Times are seconds since it was asked for; ``end`` is set once, on the last snapshot.

    ``phase`` ``stopped`` means that the caller stopped it: then there is no ``end``.
    """

    phase: Literal["waiting", "queued", "prefill", "writing", "ended", "stopped"] = "waiting"
    text: str = ""
    position: int = 0
    prompt_done: int = 0
    prompt_tokens: int = 0
    reused_tokens: int = 0
    completion_tokens: int = 0
    first_token_s: float = 0.0
    elapsed_s: float = 0.0
    end: Finished | Failed | None = None

    @property
    def over(self) -> bool:
        return self.phase in ("ended", "stopped")


def after(progress: Progress, event: Event, elapsed_s: float) -> Progress:
    """``progress`` once ``event`` has come, ``elapsed_s`` seconds in."""
    change = dataclasses.replace
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
    if isinstance(event, Delta):
        return change(
            progress,
            phase="writing",
            text=progress.text + event.text,
            completion_tokens=progress.completion_tokens + (len(event.token_ids) or bool(event.text)),
            first_token_s=progress.first_token_s or elapsed_s,
        )
    if isinstance(event, Finished | Failed):
        return change(progress, phase="ended", end=event)
    return progress


class _Listener:
    """Reads events as they come and keeps the newest picture of them."""

    def __init__(self) -> None:
        self.progress = Progress()
        self.changed = asyncio.Event()
        self._started = _now()

    def note(self, event: Event) -> None:
        self.progress = after(self.progress, event, _now() - self._started)
        self.changed.set()

    async def listen(self, events: AsyncGenerator[Event, None]) -> None:
        try:
            async for event in events:
                self.note(event)
            if not self.progress.over:
                self.note(Failed(EngineError("The answer broke off. Try again."), self.progress.text))
        except Exception:
            log.exception("the event stream broke")
            self.note(Failed(EngineError("Something went wrong on the server. Try again."), self.progress.text))

    def snapshot(self) -> Progress:
        self.changed.clear()
        return dataclasses.replace(self.progress, elapsed_s=_now() - self._started)


async def follow(events: AsyncGenerator[Event, None], stop: asyncio.Event) -> AsyncGenerator[Progress, None]:
    """Snapshots of ``events`` until their end, or until ``stop`` is set, which closes them wherever they are."""
    listener = _Listener()
    task = asyncio.create_task(listener.listen(events))
    stopping = asyncio.create_task(stop.wait())
    try:
        while not listener.progress.over:
            yield listener.snapshot()
            await asyncio.wait({stopping}, timeout=PERIOD_S)
            if not stop.is_set() and not listener.changed.is_set():
                await first_of(stopping, listener.changed)
            if stop.is_set():
                break
    finally:
        stopping.cancel()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    last = listener.snapshot()
    yield last if last.over else dataclasses.replace(last, phase="stopped")


async def first_of(stopping: asyncio.Task[bool], changed: asyncio.Event) -> None:
    """Wait for either, and no longer than a sign of life may be away."""
    change = asyncio.create_task(changed.wait())
    await asyncio.wait({stopping, change}, timeout=SIGN_OF_LIFE_S, return_when=asyncio.FIRST_COMPLETED)
    change.cancel()


def _now() -> float:
    return asyncio.get_running_loop().time()
