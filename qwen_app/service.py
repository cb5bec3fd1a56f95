"""The one door to the engine for page and API: plan the prompt, generate, count, health, drain."""

from __future__ import annotations

import dataclasses
import logging
import uuid
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from functools import partial
from typing import Protocol, TypedDict, Unpack

from qwen_app.engine.base import Engine, EngineInfo, Health
from qwen_app.errors import AppError, EngineUnavailable, RequestError
from qwen_app.fallback_answer import with_fallback
from qwen_app.gpu.gpu_meter import GpuMeter
from qwen_app.messages import (
    PLAIN_TEMPLATE,
    Event,
    Failed,
    Finished,
    GenerationRequest,
    GrammarSpec,
    Message,
    SamplingParams,
    TemplateOptions,
    Tool,
)
from qwen_app.prompting import Prompting, PromptPlan
from qwen_app.sandbox.checks import checks
from qwen_app.stage.stage import Stage
from qwen_app.structured.call_check import may_need_check, with_checked_calls
from qwen_app.structured.reask import answer_with_reask, may_need_reask

log = logging.getLogger(__name__)


class AnswerObserver(Protocol):
    """Is told of one answer, and keeps nobody's text for longer than it."""

    def see(self, event: Event) -> None: ...

    def end(self) -> None:
        """Nothing more comes. Without a ``Finished`` or ``Failed`` before it, whoever asked has left."""
        ...


Observer = Callable[[GenerationRequest], AnswerObserver]


class SamplingChoices(TypedDict, total=False):
    """Fields of ``SamplingParams`` that a caller may choose; None leaves the model's own default."""

    temperature: float | None
    top_p: float | None
    top_k: int | None
    min_p: float | None
    repetition_penalty: float | None
    presence_penalty: float | None
    frequency_penalty: float | None
    logit_bias: tuple[tuple[int, float], ...] | None
    seed: int | None
    max_tokens: int | None
    stop: tuple[str, ...] | None
    stop_token_ids: tuple[int, ...] | None
    min_tokens: int | None
    ignore_eos: bool | None
    logprobs: bool | None
    top_logprobs: int | None
    prompt_logprobs: bool | None


class Service:
    """Holds the engine and what every answer has in common, whoever asked for it.

    ``timeout_s`` bounds requests that name no limit of their own. ``aliases`` are names that programs may call the
    model by beside its own. ``fallback`` is answered where the model fails. Observers (metrics, the record of
    failures) are told what really happened.
    """

    def __init__(
        self, engine: Engine, *, timeout_s: float = 600.0, aliases: tuple[str, ...] = (), fallback: str = ""
    ) -> None:
        self._engine = engine
        self._aliases = aliases
        self._timeout_s = timeout_s
        self._fallback = fallback
        self._observers: list[Observer] = []
        self._prompting = Prompting(engine)
        self._draining = False
        self._notices: list[str] = []
        self.stage = Stage()
        self.gpus = GpuMeter(engine.info().gpu_uuids)

    def observe(self, observer: Observer) -> None:
        """Call ``observer`` for every request from here on."""
        self._observers.append(observer)

    def new_request_id(self) -> str:
        return uuid.uuid4().hex

    def info(self) -> EngineInfo:
        return dataclasses.replace(self._engine.info(), aliases=self._aliases)

    def sampling(self, **choices: Unpack[SamplingChoices]) -> SamplingParams:
        """The model's own sampling defaults with the caller's choices on top; None means no choice."""
        chosen = {name: value for name, value in choices.items() if value is not None}
        return dataclasses.replace(self.info().sampling, **chosen)  # type: ignore[arg-type] # typed by SamplingChoices

    async def plan(self, request: GenerationRequest) -> PromptPlan:
        """What ``generate`` would send for a chat that may be trimmed, and the size of its parts. Raises AppError."""
        return await self._prompting.plan(request)

    async def count_tokens(
        self,
        messages: Sequence[Message],
        tools: Sequence[Tool] = (),
        grammar: GrammarSpec | None = None,
        template: TemplateOptions = PLAIN_TEMPLATE,
    ) -> int:
        """Tokens of the prompt, with what is said in it of ``grammar``."""
        return await self._prompting.count(messages, tools, grammar, template)

    async def tokenize(self, text: str, *, parse_special: bool = True, add_special_tokens: bool = False) -> list[int]:
        """Token ids of ``text``, as ``Engine.tokenize`` has it."""
        return await self._engine.tokenize(text, parse_special=parse_special, add_special_tokens=add_special_tokens)

    async def count_text(self, text: str) -> int:
        """Tokens of ``text`` within a message: estimated where the engine has no tokenizer, as behind some servers."""
        try:
            return len(await self.tokenize(text, parse_special=False))
        except RequestError:
            with_text, without = await self._engine.count_tokens([(Message("user", text),), (Message("user", ""),)])
            return with_text - without

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
        observers = [observer(request) for observer in self._observers]

        def note(event: Event) -> None:
            _log_end(request, event)
            for observer in observers:
                observer.see(event)

        try:
            async with aclosing(with_fallback(self._events(request), request, self._fallback, note)) as events:
                async for event in events:
                    yield event
        finally:
            for observer in observers:
                observer.end()

    async def _events(self, request: GenerationRequest) -> AsyncGenerator[Event, None]:
        try:
            async with aclosing(self.stage.watched(request, self._planned(request))) as events:
                async for event in events:
                    yield event
        except AppError as refusal:
            yield Failed(refusal)

    async def _planned(self, request: GenerationRequest) -> AsyncGenerator[Event, None]:
        request, planned = await self._prompting.prepare(request)
        yield planned
        async with aclosing(self._answer(request)) as events:
            async for event in events:
                yield event

    def _answer(self, request: GenerationRequest) -> AsyncGenerator[Event, None]:
        validate = partial(checks().validate, user=request.user)
        if may_need_reask(request.grammar):
            answer = answer_with_reask(self._engine.generate, request, validate)
        else:
            answer = self._engine.generate(request)
        return with_checked_calls(answer, request, validate) if may_need_check(request) else answer

    def notice(self, sentence: str) -> None:
        """Tell the owner, in the log and as long as the process lives in ``health``, what goes another way than it
        should. Everybody may read it: no paths, nobody's text."""
        log.warning("%s", sentence)
        self._notices.append(sentence)

    def notices(self) -> tuple[str, ...]:
        """What ``notice`` was told, and what the engine says of itself while it is ready."""
        health = self._engine.health()
        return tuple(filter(None, (health.reason if health.ready else "", *self._notices)))

    def health(self) -> Health:
        health = self._engine.health()
        if self._draining and health.ready:
            return dataclasses.replace(health, state="draining", reason="The server is shutting down.")
        if self._notices and health.ready:
            return dataclasses.replace(health, reason=" ".join(self.notices()))
        return health

    async def drain(self, timeout_s: float = 30.0) -> None:
        """Refuse what is new, let running answers finish for ``timeout_s`` seconds, then stop the engine."""
        self._draining = True
        await self._engine.drain(timeout_s)


def _log_end(request: GenerationRequest, event: Event) -> None:
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
