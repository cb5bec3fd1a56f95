"""The one door to the engine for page and API: admit, generate, count, cancel, health, drain."""

from __future__ import annotations

import dataclasses
import logging
import uuid
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing

from qwen_app.engine.base import Engine, EngineInfo, Health
from qwen_app.errors import EngineUnavailable
from qwen_app.messages import Event, Failed, Finished, GenerationRequest, Message, SamplingParams, Tool
from qwen_app.structured.reask import answer_with_reask, may_need_reask

log = logging.getLogger(__name__)

Observer = Callable[[GenerationRequest, Event], None]


class Service:
    """Holds the engine and what every answer has in common, whoever asked for it.

    ``timeout_s`` bounds requests that name no limit of their own. Observers (metrics) see every event of every request
    and never its text kept.
    """

    def __init__(self, engine: Engine, *, timeout_s: float = 600.0) -> None:
        self._engine = engine
        self._timeout_s = timeout_s
        self._observers: list[Observer] = []
        self._draining = False
        self._running = 0

    def observe(self, observer: Observer) -> None:
        self._observers.append(observer)

    def new_request_id(self) -> str:
        return uuid.uuid4().hex

    def info(self) -> EngineInfo:
        return self._engine.info()

    def sampling(self, **given: object) -> SamplingParams:
        """The model's own sampling defaults with the caller's choices on top; None means not given."""
        chosen = {name: value for name, value in given.items() if value is not None}
        return dataclasses.replace(self.info().sampling, **chosen)  # type: ignore[arg-type]

    async def count_tokens(self, messages: Sequence[Message], tools: Sequence[Tool] = ()) -> int:
        return await self._engine.count_tokens(messages, tools)

    async def tokenize(self, text: str) -> list[int]:
        return await self._engine.tokenize(text)

    async def detokenize(self, token_ids: Sequence[int]) -> str:
        return await self._engine.detokenize(token_ids)

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[Event, None]:
        """The engine's events for ``request``, under the service's own limits. Same contract as ``Engine.generate``."""
        if self._draining:
            yield Failed(EngineUnavailable("The server is shutting down. Try again in a minute."))
            return
        if request.timeout_s is None or request.timeout_s > self._timeout_s:
            request = dataclasses.replace(request, timeout_s=self._timeout_s)
        self._running += 1
        try:
            async with aclosing(self._events(request)) as events:
                async for event in events:
                    self._note(request, event)
                    yield event
        finally:
            self._running -= 1

    def _events(self, request: GenerationRequest) -> AsyncGenerator[Event, None]:
        if may_need_reask(request.grammar):
            return answer_with_reask(self._engine.generate, request)
        return self._engine.generate(request)

    def health(self) -> Health:
        health = self._engine.health()
        if self._draining and health.ready:
            return dataclasses.replace(health, state="draining", reason="The server is shutting down.")
        return health

    async def drain(self, timeout_s: float = 30.0) -> None:
        """Refuse what is new, let running answers finish for ``timeout_s`` seconds, then stop the engine."""
        self._draining = True
        await self._engine.drain(timeout_s)

    def _note(self, request: GenerationRequest, event: Event) -> None:
        if isinstance(event, Finished):
            log.info(
                "answered",
                extra={
                    "request_id": request.request_id,
                    "reason": event.reason,
                    "prompt_tokens": event.usage.prompt_tokens,
                    "reused_tokens": event.usage.reused_tokens,
                    "completion_tokens": event.usage.completion_tokens,
                    "first_token_s": round(event.timings.first_token_s, 3),
                    "total_s": round(event.timings.total_s, 3),
                },
            )
        elif isinstance(event, Failed):
            log.warning("failed: %s", event.error.code, extra={"request_id": request.request_id})
        for observer in self._observers:
            observer(request, event)
