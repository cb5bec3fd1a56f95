"""The one door to the engine for page and API: plan the prompt, generate, count, health, drain."""

from __future__ import annotations

import dataclasses
import logging
import uuid
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import TypedDict, Unpack

from qwen_app.engine.base import Engine, EngineInfo, Health
from qwen_app.errors import AppError, EngineUnavailable
from qwen_app.messages import Event, Failed, Finished, GenerationRequest, Message, SamplingParams, Tool
from qwen_app.prompting import Prompting, PromptPlan
from qwen_app.structured.reask import answer_with_reask, may_need_reask

log = logging.getLogger(__name__)

Observer = Callable[[GenerationRequest, Event], None]


class SamplingChoices(TypedDict, total=False):
    """Fields of ``SamplingParams`` that a caller may choose; None leaves the model's own default."""

    temperature: float | None
    top_p: float | None
    top_k: int | None
    min_p: float | None
    repetition_penalty: float | None
    presence_penalty: float | None
    frequency_penalty: float | None
    seed: int | None
    max_tokens: int | None
    stop: tuple[str, ...] | None
    logprobs: bool | None
    top_logprobs: int | None


class Service:
    """Holds the engine and what every answer has in common, whoever asked for it.

    ``timeout_s`` bounds requests that name no limit of their own. Observers (metrics) see every event of every request
    and never its text kept.
    """

    def __init__(self, engine: Engine, *, timeout_s: float = 600.0) -> None:
        self._engine = engine
        self._timeout_s = timeout_s
        self._observers: list[Observer] = []
        self._prompting = Prompting(engine)
        self._draining = False

    def observe(self, observer: Observer) -> None:
        self._observers.append(observer)

    def new_request_id(self) -> str:
        return uuid.uuid4().hex

    def info(self) -> EngineInfo:
        return self._engine.info()

    def sampling(self, **choices: Unpack[SamplingChoices]) -> SamplingParams:
        """The model's own sampling defaults with the caller's choices on top; None means no choice."""
        chosen = {name: value for name, value in choices.items() if value is not None}
        return dataclasses.replace(self.info().sampling, **chosen)  # type: ignore[arg-type] # typed by SamplingChoices

    async def plan(self, request: GenerationRequest) -> PromptPlan:
        """What ``generate`` would send for a chat that may be trimmed, and the size of its parts. Raises AppError."""
        return await self._prompting.plan(request)

    async def count_tokens(self, messages: Sequence[Message], tools: Sequence[Tool] = ()) -> int:
        (tokens,) = await self._engine.count_tokens([messages], tools)
        return tokens

    async def tokenize(self, text: str) -> list[int]:
        return await self._engine.tokenize(text)

    async def detokenize(self, token_ids: Sequence[int]) -> str:
        return await self._engine.detokenize(token_ids)

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[Event, None]:
        """The engine's events for ``request``, under the service's own limits; ``Planned`` comes before them all.

        Otherwise the contract is that of ``Engine.generate``.
        """
        if self._draining:
            yield Failed(EngineUnavailable("The server is shutting down. Try again in a minute."))
            return
        if request.timeout_s is None or request.timeout_s > self._timeout_s:
            request = dataclasses.replace(request, timeout_s=self._timeout_s)
        async with aclosing(self._events(request)) as events:
            async for event in events:
                self._note(request, event)
                yield event

    async def _events(self, request: GenerationRequest) -> AsyncGenerator[Event, None]:
        try:
            request, planned = await self._prompting.prepare(request)
        except AppError as refusal:
            yield Failed(refusal)
            return
        yield planned
        checked = may_need_reask(request.grammar)
        answer = answer_with_reask(self._engine.generate, request) if checked else self._engine.generate(request)
        async with aclosing(answer) as events:
            async for event in events:
                yield event

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
