"""RemoteEngine: the engine protocol over an OpenAI-compatible server, with our own bounds, deadlines and honesty."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Self

from qwen_app.engine.base import EngineInfo, Health, HealthState
from qwen_app.engine.fair_queue import FairQueue
from qwen_app.engine.remote.connection.upstream_client import FindTokenizer, UpstreamClient
from qwen_app.engine.remote.connection.upstream_errors import words_of
from qwen_app.engine.remote.context_budget import TOKENIZER_ERRORS, ContextBudget
from qwen_app.engine.remote.deadline import Deadline
from qwen_app.engine.remote.upstream_answer import UpstreamAnswer
from qwen_app.errors import AppError, EngineUnavailable, RequestError, UpstreamError
from qwen_app.messages import (
    PLAIN_TEMPLATE,
    Event,
    Failed,
    GenerationRequest,
    Message,
    SamplingParams,
    TemplateOptions,
    Tool,
)

log = logging.getLogger(__name__)

ASSUMED_CONTEXT_TOKENS = 8192  # where the server does not say
QWEN_SAMPLING = SamplingParams(temperature=0.7, top_p=0.8, top_k=20, repetition_penalty=1.05)  # its generation config
CUT_PATIENCE_S = 1.0  # for readers to take their last event; one that does not read is left behind


class RemoteEngine:
    """Answers through the server at ``base_url`` (it usually ends in /v1).

    ``model`` empty means the server's first. At most ``slots`` requests are sent at once and ``queue_limit`` wait.
    ``context_tokens`` lowers the server's context; 0 leaves it. ``find_tokenizer`` gives a local folder with the
    tokenizer of a model, or None. ``poll_s`` is how often the server's health is looked at. Nothing is sent before the
    first call. Raises SettingsError for a ``base_url`` that is none, and an ``api_key`` that no HTTP header can carry.
    """

    def __init__(
        self,
        *,
        base_url: str,
        api_key: str = "",
        model: str = "",
        slots: int = 64,
        queue_limit: int = 64,
        context_tokens: int = 0,
        find_tokenizer: FindTokenizer = lambda model: None,
        poll_s: float = 5.0,
    ) -> None:
        self._upstream = UpstreamClient(base_url, api_key, model, find_tokenizer, poll_s)
        self._queue = FairQueue(slots, queue_limit)
        self._slots = slots
        self._model = model
        self._context_tokens = context_tokens
        self._running: set[UpstreamAnswer] = set()
        self._draining = False

    def connect(self) -> Self:
        """Asks now who answers, so that ``info`` is right at once. Not inside an event loop."""
        asyncio.run(self._upstream.health.discover())
        return self

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[Event, None]:
        if self._draining:
            yield Failed(EngineUnavailable("The engine is draining. Try again in a minute."))
            return
        answer = self._answer(request)
        self._running.add(answer)
        try:
            async with aclosing(answer.events()) as events:
                async for event in events:
                    yield event
        except AppError as error:
            yield Failed(error, answer.transcript.partial_text)
        except Exception:  # the request boundary: whatever a server sends, it fails this one answer alone
            log.exception("a remote answer failed in a way nobody foresaw", extra={"request_id": request.request_id})
            sentence = f"{self._upstream.title} sent something this app does not understand. The log has the details."
            yield Failed(UpstreamError(sentence), answer.transcript.partial_text)
        finally:
            self._running.discard(answer)

    def _answer(self, request: GenerationRequest) -> UpstreamAnswer:
        if request.sampling.seed is None:  # drawn here, so that the answer can be had again
            request = replace(request, sampling=replace(request.sampling, seed=secrets.randbelow(2**31)))
        budget = ContextBudget(self._upstream, self._context_tokens)
        return UpstreamAnswer(request, self._upstream, self._queue, budget, Deadline(request.timeout_s))

    async def count_tokens(
        self,
        prompts: Sequence[Sequence[Message]],
        tools: Sequence[Tool] = (),
        template: TemplateOptions = PLAIN_TEMPLATE,
    ) -> list[int]:
        await self._ready()
        requests = [GenerationRequest("count", tuple(messages), tools=tuple(tools)) for messages in prompts]
        return await asyncio.gather(*(ContextBudget(self._upstream, 0).prompt_tokens(request) for request in requests))

    async def tokenize(self, text: str, *, parse_special: bool = True, add_special_tokens: bool = False) -> list[int]:
        await self._ready()
        try:
            counter = self._upstream.token_counter
            return await counter.encode(text, parse_special=parse_special, add_special_tokens=add_special_tokens)
        except TOKENIZER_ERRORS as error:
            raise _as_request_error(error) from error

    async def detokenize(self, token_ids: Sequence[int]) -> str:
        await self._ready()
        try:
            return await self._upstream.token_counter.decode(token_ids)
        except TOKENIZER_ERRORS as error:
            raise _as_request_error(error) from error

    async def _ready(self) -> None:
        """Counting goes on by estimate where the server is away."""
        try:
            await self._upstream.ready_server()
        except AppError as error:
            log.debug("no server to ask: %s", error)

    def info(self) -> EngineInfo:
        server = self._upstream.server
        known = min((n for n in (server.context_tokens if server else 0, self._context_tokens) if n), default=0)
        return EngineInfo(
            model=server.model if server else self._model or "remote",
            revision=server.version if server else "",
            precision="remote",
            device=self._upstream.title,
            context_tokens=known or ASSUMED_CONTEXT_TOKENS,
            slots=self._slots,
            sampling=QWEN_SAMPLING if server and "qwen2.5" in server.model.lower() else SamplingParams(temperature=0.7),
            exact_counts=self._upstream.token_counter.exact,
            notice=self._notice(known_context=bool(known)),
            continues=server.profile.template_options if server else False,
            logprobs=server.profile.logprobs if server else False,
        )

    def _notice(self, *, known_context: bool) -> str:
        server = self._upstream.server
        if server is None:
            return self._upstream.health.reason
        parts = []
        if server.listed:
            parts.append(
                f"The server's list has no model {server.model!r}; it has: {server.listed}. "
                "Set --remote-model where no answer comes."
            )
        if not known_context:
            parts.append(
                f"The server does not say its context: {ASSUMED_CONTEXT_TOKENS} tokens are assumed (--context)."
            )
        if not self._upstream.token_counter.exact:
            parts.append("Token counts are estimates.")
        if ignored := server.profile.ignored_sampling():
            parts.append(f"{server.profile.title} ignores: {', '.join(ignored)}.")
        return " ".join(parts)

    def health(self) -> Health:
        upstream = self._upstream.health
        upstream.start()
        running, queued = self._queue.running, self._queue.queued
        if self._draining:
            state: HealthState = "draining" if running or queued else "stopped"
            return Health(state, "The engine is shutting down.", running, queued, upstream.age_s)
        return Health(upstream.state, upstream.reason, running, queued, upstream.age_s)

    async def drain(self, timeout_s: float) -> None:
        self._draining = True
        await self._idle(timeout_s)
        for answer in self._running:
            answer.deadline.cut("cancelled")
        await self._idle(CUT_PATIENCE_S)
        await self._upstream.close()

    async def _idle(self, patience_s: float) -> None:
        clock = asyncio.get_running_loop().time
        end = clock() + patience_s
        while self._running and clock() < end:  # noqa: ASYNC110 (seldom, and short)
            await asyncio.sleep(0.01)


def _as_request_error(error: Exception) -> RequestError:
    if isinstance(error, RequestError):
        return error
    return RequestError(f"The remote tokenizer failed: {words_of(error)}")
