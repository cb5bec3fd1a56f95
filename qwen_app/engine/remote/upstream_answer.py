"""One request's way through the server: waiting, sending, retrying what is safe, reading to the end."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field

import httpx2
import openai

from qwen_app.engine.fair_queue import FairQueue
from qwen_app.engine.remote.connection.chunk import Chunk
from qwen_app.engine.remote.connection.server_info import ServerInfo
from qwen_app.engine.remote.connection.upstream_client import UpstreamClient
from qwen_app.engine.remote.connection.upstream_errors import StreamBroken, UpstreamFailure, read_exception
from qwen_app.engine.remote.context_budget import ContextBudget
from qwen_app.engine.remote.deadline import Deadline
from qwen_app.engine.remote.request_body import build_body
from qwen_app.engine.remote.response_checks import check_response, ending_of
from qwen_app.engine.remote.transcript import Transcript, transcript_of
from qwen_app.messages import Event, Finished, GenerationRequest, Prefill, Queued, Usage
from qwen_app.openai_format import RequestBody

TRIES = 3
BACKOFF_S = 0.25  # doubled at each try, with jitter
RETRY_AFTER_LIMIT_S = 5.0  # a server that asks for more gets no second try; the caller is told instead
HEADERS_PATIENCE_S = 10.0  # refusals come sooner; a slow prompt must not hold back that the request was taken
AFTER_FINISH_S = 2.0  # for the usage and [DONE] that some servers never send
LOOK_CHUNKS = 64  # between looks whether the server heeds its limit
OVERRUN = 2  # times the limit is surely too much, also where it is estimated

CLIENT_ERRORS = (openai.OpenAIError, httpx2.HTTPError, StreamBroken, ValueError, RecursionError)

log = logging.getLogger(__name__)


@dataclass(eq=False, slots=True)
class UpstreamAnswer:
    """What one request needs and has brought. ``events`` runs it."""

    request: GenerationRequest
    upstream: UpstreamClient
    queue: FairQueue
    budget: ContextBudget
    deadline: Deadline
    announced: bool = False
    transcript: Transcript = field(init=False)
    _spent: Usage | None = None  # by a first try that made no call
    _by_schema: bool = False  # that try is over
    _tools_refused: bool = False

    def __post_init__(self) -> None:
        self.transcript = transcript_of(self.request)

    async def events(self) -> AsyncGenerator[Event, None]:
        """Queued, deltas, Finished. Raises AppError; TimeoutError never leaves."""
        try:
            async with aclosing(self._run()) as events:
                async for event in events:
                    yield event
        except TimeoutError:
            if not self.announced:
                yield Queued(0)
            for held in (*self.transcript.flush(cut=True), *self.transcript.rest_of_turns(cut=True)):
                yield held
            ending = await ending_of(self.request, self.transcript)
            if ending:
                yield ending
            usage = self.budget.estimated_usage(self.request, self.transcript.chunks)  # a chunk is about a token
            yield Finished(self.deadline.reason, usage, self.deadline.timings(), self._seed, bool(ending))

    async def _run(self) -> AsyncGenerator[Event, None]:
        server = await self.deadline.within(self.upstream.ready_server())
        self._body(server, None)  # what cannot be is refused before the wait
        room_tokens = await self.deadline.within(self.budget.room_tokens(self.request, server))
        ticket = self.queue.join(self.request.user)
        try:
            position = self.queue.position(ticket)
            while position:
                self.announced = True
                yield Queued(position)
                position = await self.deadline.within(self.queue.next_position(ticket, position))
            self.deadline.note_start()
            async with aclosing(self._with_its_call(server, room_tokens)) as events:
                async for event in events:
                    yield event
        finally:
            self.queue.leave(ticket)
        for waiting in self.transcript.rest_of_turns(cut=self.transcript.reason == "length"):
            yield waiting
        await check_response(self.request, self.transcript, self.upstream.title)
        ending = await ending_of(self.request, self.transcript) if self.transcript.reason == "length" else None
        if ending:
            yield ending
        usage, reason = await self._usage(), self.transcript.reason or "stop"
        yield Finished(reason, usage, self.deadline.timings(), self._seed, bool(ending), self.transcript.stop)

    def _body(self, server: ServerInfo, room_tokens: int | None) -> RequestBody:
        tools_refused = self._tools_refused or self.upstream.refuses_tools
        by_schema = self._by_schema or self.upstream.ignores_forced_calls
        return build_body(
            self.request, server, room_tokens=room_tokens, tools_refused=tools_refused, by_schema=by_schema
        )

    async def _with_its_call(self, server: ServerInfo, room_tokens: int | None) -> AsyncGenerator[Event, None]:
        """The answer; where a call was forced and none came, the answer to the same as a question of its schema.

        That all are to be asked so is known once one was that came to its end: by a limit, or a filter, a single
        request may have no call of any server.
        """
        by_schema = self.upstream.ignores_forced_calls or server.profile.json_formats == "none"
        async with aclosing(self._tries(server, room_tokens)) as events:
            async for event in events:
                yield event
        if not self.transcript.calls_only or self.transcript.calls or by_schema:
            return
        self._by_schema = True
        self._spent = await self._usage()
        self.transcript = transcript_of(self.request)
        async with aclosing(self._tries(server, room_tokens)) as events:
            async for event in events:
                if not isinstance(event, Prefill):  # that was read before, too
                    yield event
        if self.transcript.calls and self.transcript.reason != "length":
            self.upstream.ignores_forced_calls = True

    async def _tries(self, server: ServerInfo, room_tokens: int | None) -> AsyncGenerator[Event, None]:
        """Sends until something was said; from then on a failure is final."""
        attempt, refused = 1, set[str]()
        while True:
            body = self._body(server, room_tokens)
            self.transcript.bare_call = self.transcript.calls_only and "tools" not in body
            try:
                async with aclosing(self._stream(body, room_tokens)) as events:
                    async for event in events:
                        yield event
                if refused:
                    self.upstream.goes_without(refused, server)
                return
            except CLIENT_ERRORS as error:
                failure = self.upstream.without_key(read_exception(error))
            again = await self._other_try(failure, body, server, attempt)
            if again is None:
                raise await self.budget.explain(failure, self.request)
            if self._tools_refused and "tools" in body and not failure.repeats(body):
                refused.add("tools")
            if again.model == server.model and again.profile != server.profile:  # it may refuse one after the other
                fields = failure.refused_fields(body)
                refused |= set() if failure.of_this_request(fields) else fields
            else:
                attempt += 1
            server = again
            self.transcript = transcript_of(self.request)  # a call may have begun of which nothing was told yet

    async def _other_try(
        self, failure: UpstreamFailure, body: RequestBody, server: ServerInfo, attempt: int
    ) -> ServerInfo | None:
        """Who is to be asked again after ``failure``, now; None where no other try is safe or sensible."""
        if self.transcript.started or attempt == TRIES:
            return None
        if failure.tools_refused and "tools" in body:
            self._tools_refused = True  # the next body has them in its prompt
            return server
        otherwise = server.without(failure.refused_fields(body))
        if otherwise != server:
            return otherwise
        if failure.no_model:
            other = await self.deadline.within(self.upstream.other_server(server))
            if other.model != server.model:
                return other
            if not (failure.denies_model and self.upstream.health.state == "ready"):  # else one of several denied it
                return None
        wait_s = self._retry_wait_s(failure, attempt)
        if wait_s is None:
            return None
        await self.deadline.within(asyncio.sleep(wait_s))
        return server

    async def _stream(self, body: RequestBody, room_tokens: int | None) -> AsyncGenerator[Event, None]:
        call = self.upstream.send(body, self.request)
        async with aclosing(call), aclosing(call.chunks()) as chunks:
            await self.deadline.within(call.wait_for_headers(HEADERS_PATIENCE_S))
            if not self.announced:
                self.announced = True
                yield Queued(0)
            while (chunk := await self._next(chunks)) is not None:
                for event in self.transcript.feed(chunk):
                    if not isinstance(event, Prefill):
                        self.deadline.note_token()
                    yield event
                await self._check_length(room_tokens)

    async def _check_length(self, room_tokens: int | None) -> None:
        """Ends the answer of a server that goes on past its limit. Some send less than a token in a chunk, and a token
        may be many spaces: the answer is too long where both chunks and text are."""
        chunks = self.transcript.chunks
        if chunks % LOOK_CHUNKS or self.transcript.reason:
            return
        limit_tokens = room_tokens or self.request.sampling.max_tokens or self.budget.limit_tokens(self.request)
        if not limit_tokens or chunks <= OVERRUN * limit_tokens:
            return
        written_tokens = await self.deadline.within(self.budget.text_tokens(self.transcript.written_text))
        if written_tokens > OVERRUN * limit_tokens:
            log.warning("%s does not heed max_tokens: its answer was ended", self.upstream.title)
            self.deadline.cut("length")
            raise TimeoutError

    async def _next(self, chunks: AsyncGenerator[Chunk, None]) -> Chunk | None:
        """The next chunk, or None at the end. How the connection ends is no matter once the server said why it ends."""
        ending = self.transcript.reason is not None
        try:
            return await self.deadline.within(anext(chunks), AFTER_FINISH_S if ending else None)
        except (StopAsyncIteration, TimeoutError, *CLIENT_ERRORS) as error:
            if ending:
                return None
            if isinstance(error, StopAsyncIteration):
                raise StreamBroken(UpstreamFailure(0, "It ended the stream in mid-answer.", "lost")) from None
            raise

    def _retry_wait_s(self, failure: UpstreamFailure, attempt: int) -> float | None:
        """Seconds until another try, or None where none is sensible."""
        if not (failure.transient or failure.denies_model or failure.code == "lost"):
            return None
        if failure.retry_after_s is not None:
            return failure.retry_after_s if failure.retry_after_s <= RETRY_AFTER_LIMIT_S else None
        return random.uniform(0.5, 1.5) * BACKOFF_S * float(2 ** (attempt - 1))

    async def _usage(self) -> Usage:
        """The server's figures, or ours where it gave none; of both tries, where there were two."""
        usage = self.transcript.usage
        if usage is None:
            prompt_tokens = await self.budget.prompt_tokens(self.request)
            usage = Usage(prompt_tokens, await self.budget.text_tokens(self.transcript.written_text))
        return usage if self._spent is None else self._spent + usage

    @property
    def _seed(self) -> int | None:
        return self.request.sampling.seed
