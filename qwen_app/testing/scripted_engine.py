"""Scripted engine: says what a test tells it to, as fast or as faulty as the test wants. For tests, not for people."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

from qwen_app.engine.base import EngineInfo, Health, HealthState
from qwen_app.engine.fair_queue import FairQueue
from qwen_app.errors import AppError, ContextLengthExceeded, EngineUnavailable, RequestError, TooManyRequests
from qwen_app.messages import (
    PLAIN_TEMPLATE,
    Delta,
    Event,
    Failed,
    Finished,
    FinishReason,
    GenerationRequest,
    Message,
    Prefill,
    Queued,
    SamplingParams,
    TemplateOptions,
    Timings,
    TokenLogprob,
    Tool,
    ToolCallDelta,
    Usage,
)


@dataclass(frozen=True, slots=True)
class Script:
    """One answer. Each piece of ``text`` counts as a token; ``error`` strikes before piece ``error_at``."""

    text: Sequence[str] = ("Hello", ", ", "world", ".")
    tool_calls: Sequence[ToolCallDelta] = ()
    reason: FinishReason = "stop"
    error: AppError | None = None
    error_at: int = 0
    token_s: float = 0.0
    prefill_s: float = 0.0


Chooser = Callable[[GenerationRequest], Script]


@dataclass(slots=True)
class ScriptedEngine:
    """Answers with ``script``, a Script or a function of the request."""

    script: Script | Chooser = field(default_factory=Script)
    slots: int = 4
    queue_limit: int = 64
    context_tokens: int = 8192
    gpu_uuids: tuple[str, ...] = ()
    state: HealthState = "ready"
    requests: list[GenerationRequest] = field(default_factory=list)
    tokens_made: int = 0
    cancelled: int = 0
    counts: int = 0  # calls of count_tokens
    _queue: FairQueue = field(init=False)
    _draining: bool = False
    _stopped: bool = False

    def __post_init__(self) -> None:
        self._queue = FairQueue(self.slots, self.queue_limit)

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[Event, None]:
        self.requests.append(request)
        started = time.monotonic()
        refusal = await self._refusal(request)
        if refusal is not None:
            yield Failed(refusal)
            return
        script = self.script if isinstance(self.script, Script) else self.script(request)
        ended = False
        try:
            async with aclosing(self._answer(request, script, started)) as events:
                async for event in events:
                    ended = isinstance(event, Finished | Failed)
                    yield event
        except TooManyRequests as full:
            ended = True
            yield Failed(full)
        finally:
            self.cancelled += not ended

    async def _refusal(self, request: GenerationRequest) -> AppError | None:
        if self._draining:
            return EngineUnavailable("The engine is draining. Try again in a minute.")
        if not request.messages and request.prompt is None:
            return RequestError("There is nothing to answer: give messages or a prompt.", param="messages")
        limit = min(self.context_tokens, request.context_tokens or self.context_tokens)
        prompt_tokens = await self._prompt_tokens(request)
        answer_tokens = 1 if request.policy.cap_answer else request.sampling.max_tokens or 1
        if prompt_tokens + answer_tokens > limit:
            return ContextLengthExceeded(prompt_tokens, answer_tokens, limit)
        return None

    async def _answer(self, request: GenerationRequest, script: Script, started: float) -> AsyncGenerator[Event, None]:
        text: list[str] = []
        place = self._queue.join(request.user)
        try:
            total = await self._prompt_tokens(request)
            position = self._queue.position(place)
            yield Queued(position)
            while position:
                try:
                    left_s = request.timeout_s and request.timeout_s - (time.monotonic() - started)
                    async with asyncio.timeout(left_s):
                        position = await self._queue.next_position(place, position)
                except TimeoutError:
                    waited_s = time.monotonic() - started
                    yield Finished("deadline", Usage(total, 0), Timings(waited_s, waited_s, waited_s))
                    return
                yield Queued(position)
            queued_s = time.monotonic() - started
            await asyncio.sleep(script.prefill_s)
            yield Prefill(total, total, 0)
            first_token_s = time.monotonic() - started
            reason = script.reason
            limit = self._limit(request, total)
            for index, piece in enumerate(script.text):
                if script.error is not None and index == script.error_at:
                    yield Failed(script.error, "".join(text))
                    return
                if limit is not None and index >= limit:
                    reason = "length"
                    break
                if request.timeout_s is not None and time.monotonic() - started > request.timeout_s:
                    reason = "deadline"
                    break
                if self._stopped:
                    reason = "cancelled"
                    break
                await asyncio.sleep(script.token_s)
                self.tokens_made += 1
                text.append(piece)
                yield Delta(piece, (index,), _logprobs(piece, request.sampling))
            for call in script.tool_calls:
                yield call
                reason = "tool_calls"
            timings = Timings(queued_s, first_token_s, time.monotonic() - started)
            yield Finished(reason, Usage(total, len(text)), timings, request.sampling.seed or 0)
        finally:
            self._queue.leave(place)

    def _limit(self, request: GenerationRequest, prompt_tokens: int) -> int | None:
        max_tokens = request.sampling.max_tokens
        room = min(self.context_tokens, request.context_tokens or self.context_tokens) - prompt_tokens
        return min(max_tokens or room, room) if request.policy.cap_answer else max_tokens

    async def _prompt_tokens(self, request: GenerationRequest) -> int:
        if request.prompt is not None:
            return len(request.prompt.split()) if isinstance(request.prompt, str) else len(request.prompt)
        return _words(request.messages, request.tools)

    async def count_tokens(
        self,
        prompts: Sequence[Sequence[Message]],
        tools: Sequence[Tool] = (),
        template: TemplateOptions = PLAIN_TEMPLATE,
    ) -> list[int]:
        self.counts += 1
        return [_words(messages, tools) for messages in prompts]

    async def tokenize(self, text: str, *, parse_special: bool = True, add_special_tokens: bool = False) -> list[int]:
        return list(text.encode())

    async def detokenize(self, token_ids: Sequence[int]) -> str:
        if any(token_id > 255 for token_id in token_ids):
            raise RequestError("Token ids of this model end at 255.", param="tokens")
        return bytes(token_ids).decode(errors="replace")

    def info(self) -> EngineInfo:
        return EngineInfo(
            model="scripted",
            revision="test",
            precision="none",
            device="cpu",
            context_tokens=self.context_tokens,
            slots=self.slots,
            sampling=SamplingParams(temperature=0.7, top_p=0.8, top_k=20, repetition_penalty=1.05),
            gpu_uuids=self.gpu_uuids,
        )

    def health(self) -> Health:
        state = "draining" if self._draining else self.state
        reason = "" if state == "ready" else f"scripted to be {state}"
        return Health(state, reason, self._queue.running, self._queue.queued)

    async def drain(self, timeout_s: float) -> None:
        self._draining = True
        deadline = time.monotonic() + timeout_s
        while self._queue.running and time.monotonic() < deadline:  # noqa: ASYNC110 (a poll will do here)
            await asyncio.sleep(0.01)
        self._stopped = True
        while self._queue.running:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def _logprobs(piece: str, sampling: SamplingParams) -> tuple[TokenLogprob, ...]:
    """Every piece is as likely as all others together, each of which is half as likely as the one before."""
    if not sampling.logprobs:
        return ()
    texts = [piece, *(f" other{number}" for number in range(1, sampling.top_logprobs))][: sampling.top_logprobs]
    top = tuple(
        TokenLogprob(number, text, text.encode(), math.log(0.5) * (number + 1)) for number, text in enumerate(texts)
    )
    return (TokenLogprob(0, piece, piece.encode(), math.log(0.5), top),)


def _words(messages: Sequence[Message], tools: Sequence[Tool]) -> int:
    """A word is a token, and every message costs four more."""
    return sum(4 + len(message.content.split()) for message in messages) + 10 * len(tools)
