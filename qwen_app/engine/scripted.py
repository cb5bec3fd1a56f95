"""ScriptedEngine: says what a test tells it to, as fast or as faulty as the test wants. For tests, not for people."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field

from qwen_app.engine.base import EngineInfo, Health
from qwen_app.errors import AppError, ContextLengthExceeded, EngineUnavailable, TooManyRequests
from qwen_app.messages import (
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
    Timings,
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
    state: str = "ready"
    requests: list[GenerationRequest] = field(default_factory=list)
    tokens_made: int = 0
    cancelled: int = 0
    _running: int = 0
    _waiting: list[asyncio.Future[None]] = field(default_factory=list)
    _draining: bool = False

    async def generate(self, request: GenerationRequest) -> AsyncIterator[Event]:
        self.requests.append(request)
        started = time.monotonic()
        refusal = await self._refusal(request)
        if refusal is not None:
            yield Failed(refusal)
            return
        script = self.script if isinstance(self.script, Script) else self.script(request)
        ended = False
        try:
            async for event in self._answer(request, script, started):
                ended = isinstance(event, Finished | Failed)
                yield event
        finally:
            self.cancelled += not ended

    async def _refusal(self, request: GenerationRequest) -> AppError | None:
        if self._draining:
            return EngineUnavailable("The engine is draining. Try again in a minute.")
        if len(self._waiting) >= self.queue_limit:
            return TooManyRequests("Too many requests are waiting. Try again in a few seconds.")
        limit = min(self.context_tokens, request.context_tokens or self.context_tokens)
        prompt_tokens = await self.count_tokens(request.messages, request.tools)
        answer_tokens = request.sampling.max_tokens or 1
        if prompt_tokens + answer_tokens > limit:
            return ContextLengthExceeded(prompt_tokens, answer_tokens, limit)
        return None

    async def _answer(self, request: GenerationRequest, script: Script, started: float) -> AsyncIterator[Event]:
        yield Queued(len(self._waiting) + 1 if self._running >= self.slots else 0)
        await self._enter()
        queued_s = time.monotonic() - started
        said: list[str] = []
        try:
            total = await self.count_tokens(request.messages, request.tools)
            await asyncio.sleep(script.prefill_s)
            yield Prefill(total, total, 0)
            first_token_s = time.monotonic() - started
            reason = script.reason
            limit = request.sampling.max_tokens
            for index, piece in enumerate(script.text):
                if script.error is not None and index == script.error_at:
                    yield Failed(script.error, "".join(said))
                    return
                if limit is not None and index >= limit:
                    reason = "length"
                    break
                if request.timeout_s is not None and time.monotonic() - started > request.timeout_s:
                    reason = "deadline"
                    break
                await asyncio.sleep(script.token_s)
                self.tokens_made += 1
                said.append(piece)
                yield Delta(piece, (index,))
            for call in script.tool_calls:
                yield call
                reason = "tool_calls"
            timings = Timings(queued_s, first_token_s, time.monotonic() - started)
            yield Finished(reason, Usage(total, len(said)), timings, request.sampling.seed or 0)
        finally:
            self._leave()

    async def _enter(self) -> None:
        while self._running >= self.slots:
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            try:
                await turn
            except asyncio.CancelledError:
                if turn in self._waiting:
                    self._waiting.remove(turn)
                raise
        self._running += 1

    def _leave(self) -> None:
        self._running -= 1
        while self._waiting:
            turn = self._waiting.pop(0)
            if not turn.done():
                turn.set_result(None)
                break

    async def count_tokens(self, messages: Sequence[Message], tools: Sequence[Tool] = ()) -> int:
        """A word is a token, and every message costs four more."""
        return sum(4 + len(message.content.split()) for message in messages) + 10 * len(tools)

    async def tokenize(self, text: str) -> list[int]:
        return list(text.encode())

    async def detokenize(self, token_ids: Sequence[int]) -> str:
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
        )

    def health(self) -> Health:
        state = "draining" if self._draining else self.state
        return Health(state, "" if state == "ready" else f"scripted to be {state}", self._running, len(self._waiting))  # type: ignore[arg-type]

    async def drain(self, timeout_s: float) -> None:
        self._draining = True
        deadline = time.monotonic() + timeout_s
        while self._running and time.monotonic() < deadline:  # noqa: ASYNC110 (a poll will do here)
            await asyncio.sleep(0.01)
