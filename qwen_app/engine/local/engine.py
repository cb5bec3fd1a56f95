"""LocalEngine: the in-process engine as the service sees it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from functools import partial
from typing import TypeVar, TypeVarTuple

from qwen_app.chat.template import PromptEncoder, characters_of
from qwen_app.engine.base import EngineInfo, Health
from qwen_app.engine.local.grammar_admission import GrammarAdmission
from qwen_app.engine.local.request_processor import RequestProcessor, may_call
from qwen_app.engine.local.request_threads import RequestThreads, outcome_of
from qwen_app.engine.local.steps.event_queue import EventQueue, is_terminal
from qwen_app.engine.local.steps.spelling import Spelling
from qwen_app.engine.local.tool_events import ToolCallEvents
from qwen_app.engine.local.worker import Worker
from qwen_app.errors import AppError, EngineUnavailable, RequestError
from qwen_app.messages import PLAIN_TEMPLATE, Event, Failed, GenerationRequest, Message, Queued, TemplateOptions, Tool
from qwen_app.tools.parser import ToolCallParser

LONG_JOB = 50_000  # characters or tokens, a fifth of a second in the worst case

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

PREPARE_S = 60.0  # a prompt takes milliseconds, the longest a second or two; what takes longer waits for a hung thread
NOT_PREPARED = "The request could not be prepared in time. Try again in a minute."


class LocalEngine:
    """Answers with a model in this process. ``build_local_engine`` makes one from a loaded model.

    Starts ``worker``, which is not started yet. The worker ends what is out of time; ``grace_s`` later the event loop
    does, for a worker that hangs ends nothing. ``impairment`` is what makes it slower than its device could be.
    """

    def __init__(
        self,
        worker: Worker,
        processor: RequestProcessor,
        encoder: PromptEncoder,
        spelling: Spelling,
        info: EngineInfo,
        *,
        grammars: GrammarAdmission,
        grace_s: float,
        impairment: str,
    ) -> None:
        self._grammars = grammars
        self._worker = worker
        self._processor = processor
        self._encoder = encoder
        self._spelling = spelling
        self._info = info
        self._grace_s = grace_s
        self._impairment = impairment
        self._threads = RequestThreads(2, "prompt-encoder")
        self._long_threads = RequestThreads(1, "long-prompt-encoder")
        self._draining = False
        self._worker.start()

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[Event, None]:
        if self._draining:  # the threads that prepare requests are gone by the end of a drain
            yield Failed(EngineUnavailable("The server is shutting down. Try again in a minute."))
            return
        arrived, loop = self._worker.now(), asyncio.get_running_loop()
        limit = None if request.timeout_s is None else loop.time() + request.timeout_s + self._grace_s
        try:
            async with asyncio.timeout_at(limit):
                await self._grammars.admit(request)
                characters = len(request.prompt or ()) + characters_of(request.messages)
                sequence = await self._on_thread(characters, self._processor.process, request, EventQueue(), arrived)
            position = self._worker.submit(sequence)
        except TimeoutError:
            yield Failed(EngineUnavailable(NOT_PREPARED))
            return
        except AppError as refusal:
            yield Failed(refusal)
            return
        late = EngineUnavailable("The answer was not ended in time. Try again in a minute.")
        end_it = None if limit is None else loop.call_at(limit, sequence.events.fail, late)
        parser = ToolCallParser(tool.name for tool in request.tools)
        calls = ToolCallEvents(parser, forced=request.tool_choice.forced) if may_call(request) else None
        try:
            yield Queued(position)
            ended = False
            while not ended:
                event = await sequence.events.get()
                ended = is_terminal(event)
                if ended:
                    self._encoder.remember(sequence.text, sequence.answer.ids)
                for translated in calls.translate(event) if calls else (event,):
                    yield translated
        finally:
            if end_it:
                end_it.cancel()
            self._worker.cancel(sequence.id)

    def prepare_grammars(self) -> None:
        """Make what all grammars share now: it takes a second for a large vocabulary, in which nothing else moves."""
        self._grammars.prepare()

    async def count_tokens(
        self,
        prompts: Sequence[Sequence[Message]],
        tools: Sequence[Tool] = (),
        template: TemplateOptions = PLAIN_TEMPLATE,
    ) -> list[int]:
        def count() -> list[int]:
            return [len(self._encoder.encode(prompt, tools, template)) for prompt in prompts]

        return await self._on_thread(sum(map(characters_of, prompts)), count)

    async def tokenize(self, text: str, *, parse_special: bool = True, add_special_tokens: bool = False) -> list[int]:
        encode = self._encoder.encode_prompt if parse_special else self._encoder.encode_text
        return await self._on_thread(len(text), partial(encode, opened=add_special_tokens), text)

    async def detokenize(self, token_ids: Sequence[int]) -> str:
        return await self._on_thread(len(token_ids), self._text_of, token_ids)

    def _text_of(self, token_ids: Sequence[int]) -> str:
        size = self._spelling.size
        for index, token_id in enumerate(token_ids):
            if not 0 <= token_id < size:
                raise RequestError(f"{token_id} is no token: ids go from 0 to {size - 1}.", param=f"tokens[{index}]")
        return self._spelling.text_of(token_ids)

    async def _on_thread(self, size: int, work: Callable[[*Ts], T], *args: *Ts) -> T:
        """``work`` on a thread, and on one of its own where its ``size`` says that it keeps others waiting."""
        threads = self._threads if size < LONG_JOB else self._long_threads
        try:
            async with asyncio.timeout(PREPARE_S):
                return await outcome_of(threads.begin(work, *args))
        except TimeoutError:
            raise EngineUnavailable(NOT_PREPARED) from None

    def info(self) -> EngineInfo:
        return self._info

    @property
    def idle(self) -> bool:
        """Nothing runs or waits, and nothing is kept of any request."""
        return self._worker.idle

    def health(self) -> Health:
        running, queued = self._worker.load()
        age_s = self._worker.heartbeat_age_s()
        if self._worker.stopped_reason:
            return Health("stopped", self._worker.stopped_reason, running, queued, age_s)
        if self._draining:
            return Health("draining", "The server is shutting down.", running, queued, age_s)
        if self._worker.stalled:
            return Health("stalled", f"The worker has not moved for {age_s:.0f} s.", running, queued, age_s)
        return Health("ready", self._impairment, running, queued, age_s)

    async def drain(self, timeout_s: float) -> None:
        self._draining = True
        deadline = time.monotonic() + timeout_s
        while not (self.idle or self._worker.stalled) and time.monotonic() < deadline:  # noqa: ASYNC110 (the worker is a thread)
            await asyncio.sleep(0.05)
        await asyncio.to_thread(self._worker.stop)
        for threads in (self._threads, self._long_threads):
            threads.close()
        self._grammars.close()
