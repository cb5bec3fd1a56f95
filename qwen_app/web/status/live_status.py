"""What the machine is doing, once a second, for everybody who looks on: one sampler, however many watch.

A sample holds figures and nobody's text. Those of the last minutes are kept, so that who comes sees how it was.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter, deque
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from pathlib import Path

from qwen_app.errors import TooManyRequests
from qwen_app.fair_share import has_room, held_by
from qwen_app.gpu.gpu_meter import all_together
from qwen_app.messages import Delta, Event, Finished, GenerationRequest
from qwen_app.service import Service

PERIOD_S = 1.0
KEPT = 300  # samples
MOST_WATCHERS = 512
MOST_OF_ONE = 16  # streams of one visitor
_STATM = Path("/proc/self/statm")


@dataclass(frozen=True, slots=True)
class StatusSample:
    """One second. ``first_token_s`` is the mean of the answers begun in it, ``reused_share`` of the prompt tokens of
    those that ended in it; None where there were none. ``memory_bytes`` is this process's, 0 where unknown. What is of
    GPUs is of all that the model is on, together; None where there is none, or it does not tell."""

    at_s: float
    tokens_per_s: float
    first_token_s: float | None
    running: int
    queued: int
    users: int
    memory_bytes: int
    reused_share: float | None
    gpu_busy_share: float | None
    gpu_memory_bytes: int | None
    gpu_memory_total_bytes: int | None
    gpu_celsius: float | None


@dataclass(slots=True)
class _Second:
    """What was counted since the last sample."""

    tokens: int = 0
    first_tokens_s: list[float] = field(default_factory=list)
    prompt_tokens: int = 0
    reused_tokens: int = 0


class LiveStatus:
    """``clock`` gives seconds."""

    def __init__(self, service: Service, clock: Callable[[], float] = time.monotonic) -> None:
        self._service = service
        self._clock = clock
        self._second = _Second()
        self._sampled_at = clock()
        self._watching: Counter[str] = Counter()
        self._changed = asyncio.Condition()
        self.samples: deque[StatusSample] = deque(maxlen=KEPT)
        service.observe(self._observer)

    async def run(self) -> None:
        """Sample until cancelled."""
        while True:
            await asyncio.sleep(PERIOD_S)
            await self.sample()

    async def sample(self) -> None:
        """Take one, and hand it to all who watch."""
        now, second = self._clock(), self._second
        elapsed_s, self._sampled_at, self._second = max(now - self._sampled_at, 1e-3), now, _Second()
        firsts, health, gpu = second.first_tokens_s, self._service.health(), all_together(self._service.gpus.readings())
        taken = StatusSample(
            at_s=now,
            tokens_per_s=second.tokens / elapsed_s,
            first_token_s=sum(firsts) / len(firsts) if firsts else None,
            running=health.running,
            queued=health.queued,
            users=len(self._watching),
            memory_bytes=_resident_bytes(),
            reused_share=second.reused_tokens / second.prompt_tokens if second.prompt_tokens else None,
            gpu_busy_share=gpu.busy_share,
            gpu_memory_bytes=gpu.memory_used_bytes,
            gpu_memory_total_bytes=gpu.memory_total_bytes,
            gpu_celsius=gpu.temperature_celsius,
        )
        async with self._changed:
            self.samples.append(taken)
            self._changed.notify_all()

    async def watch(self, visitor: str) -> AsyncGenerator[tuple[StatusSample, ...], None]:
        """What is kept, then each sample as it is taken; until the server drains. Raises TooManyRequests."""
        held = held_by(visitor, self._watching.items())
        if held.own >= MOST_OF_ONE or not has_room(1, held, MOST_WATCHERS):
            raise TooManyRequests("Too many pages watch this server. Close some of them.")
        self._watching[visitor] += 1
        try:
            yield tuple(self.samples)
            while self._service.health().state != "draining":
                async with self._changed:
                    await self._changed.wait()
                    newest = self.samples[-1]
                yield (newest,)
        finally:
            self._watching[visitor] -= 1
            self._watching += Counter()  # drops who has gone

    def _observer(self, request: GenerationRequest) -> _Answer:
        return _Answer(self._count_first, self._count, self._clock)

    def _count_first(self, waited_s: float) -> None:
        self._second.first_tokens_s.append(waited_s)

    def _count(self, event: Event) -> None:
        if isinstance(event, Delta):
            self._second.tokens += len(event.token_ids) or bool(event.text)
        elif isinstance(event, Finished):
            self._second.prompt_tokens += event.usage.prompt_tokens
            self._second.reused_tokens += event.usage.reused_tokens


class _Answer:
    """One answer, as the service tells of it."""

    def __init__(
        self, first: Callable[[float], None], count: Callable[[Event], None], clock: Callable[[], float]
    ) -> None:
        self._first, self._count, self._clock = first, count, clock
        self._asked_at: float | None = clock()

    def see(self, event: Event) -> None:
        if isinstance(event, Delta) and self._asked_at is not None:
            self._first(self._clock() - self._asked_at)
            self._asked_at = None
        self._count(event)

    def end(self) -> None:
        """Nothing is kept of it."""


def _resident_bytes() -> int:
    try:
        return int(_STATM.read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0
