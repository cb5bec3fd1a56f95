"""What every engine owes the service, as tests to inherit: local, remote and scripted engines pass them all.

A subclass gives the fixture ``make``, which builds engines; all else is here.
"""

from __future__ import annotations

import asyncio
import dataclasses
import faulthandler
import uuid
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import Any

import pytest

from qwen_app.engine.base import Engine
from qwen_app.errors import ContextLengthExceeded, EngineUnavailable, RequestError, TooManyRequests
from qwen_app.messages import (
    Delta,
    Event,
    Failed,
    Finished,
    GenerationRequest,
    Message,
    Prefill,
    PromptPolicy,
    Queued,
    SamplingParams,
    Thought,
    Tool,
    ToolCallDelta,
)

PATIENCE_S = 60.0

Make = Callable[..., Engine]


def ask(text: str = "Say something long.", *, max_tokens: int | None = 8, **more: Any) -> GenerationRequest:
    """A greedy request of one user message."""
    sampling = SamplingParams(temperature=0.0, max_tokens=max_tokens, seed=7)
    fields: dict[str, Any] = {"messages": (Message("user", text),), "sampling": sampling}
    return GenerationRequest(request_id=uuid.uuid4().hex, **(fields | more))


async def collect(engine: Engine, request: GenerationRequest) -> list[Event]:
    async with asyncio.timeout(PATIENCE_S):
        return [event async for event in engine.generate(request)]


def text_of(events: Sequence[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, Delta))


def rank(event: Event) -> int:
    """Place of an event in the order of an answer."""
    kinds: tuple[type | tuple[type, ...], ...] = (Queued, Prefill, (Thought, Delta, ToolCallDelta), (Finished, Failed))
    return next(index for index, kind in enumerate(kinds) if isinstance(event, kind))


def check_shape(events: Sequence[Event]) -> Finished | Failed:
    """Queued or Failed first, kinds in order, exactly one terminal event and that one last."""
    assert isinstance(events[0], Queued | Failed)
    ranks = [rank(event) for event in events]
    assert ranks == sorted(ranks)
    assert ranks.count(3) == 1
    last = events[-1]
    assert isinstance(last, Finished | Failed)
    return last


async def until_text(events: AsyncGenerator[Event, None]) -> list[Event]:
    """Reads up to the first text, so that the request is surely running."""
    seen = []
    async with asyncio.timeout(PATIENCE_S):
        async for event in events:
            seen.append(event)
            if isinstance(event, Delta) and event.text:
                return seen
    raise AssertionError(f"the answer ended before any text: {seen}")


async def until_idle(engine: Engine) -> None:
    """Where an engine does not let go, the report says what each thread is at."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            while engine.health().running or engine.health().queued:  # noqa: ASYNC110 (health is all there is to watch)
                await asyncio.sleep(0.01)
    except TimeoutError:
        faulthandler.dump_traceback()
        raise


class EngineContract:
    """``make(slots=, queue_limit=, context_tokens=)`` builds an engine whose greedy answers run on until they are cut.

    ``long_tokens`` is an answer length that takes the engine long enough to be interrupted.
    """

    long_tokens = 400

    def long(self, **more: Any) -> GenerationRequest:
        return ask(max_tokens=self.long_tokens, **more)

    @pytest.mark.anyio
    async def test_an_answer_has_its_events_in_order_and_one_end(self, make: Make) -> None:
        last = check_shape(events := await collect(make(), ask()))
        assert isinstance(last, Finished)
        assert isinstance(events[0], Queued)
        assert text_of(events)

    @pytest.mark.anyio
    async def test_max_tokens_ends_with_length_and_is_counted(self, make: Make) -> None:
        engine = make()
        last = check_shape(await collect(engine, ask(max_tokens=5)))
        assert isinstance(last, Finished)
        assert last.reason == "length"
        assert last.usage.completion_tokens == 5
        assert 0 <= last.timings.queued_s <= last.timings.first_token_s <= last.timings.total_s

    @pytest.mark.anyio
    async def test_prompt_tokens_are_what_count_tokens_says(self, make: Make) -> None:
        engine = make()
        request = ask("How many tokens is this? 这是多少?")
        last = check_shape(await collect(engine, request))
        assert isinstance(last, Finished)
        if engine.info().exact_counts:
            assert [last.usage.prompt_tokens] == await engine.count_tokens([request.messages])

    @pytest.mark.anyio
    async def test_a_capped_answer_takes_the_room_there_is(self, make: Make) -> None:
        engine = make()
        request = ask(max_tokens=10_000_000, policy=PromptPolicy(cap_answer=True))
        (prompt_tokens,) = await engine.count_tokens([request.messages])
        small = dataclasses.replace(request, context_tokens=prompt_tokens + 4)
        last = check_shape(await collect(engine, small))
        assert isinstance(last, Finished)
        if engine.info().exact_counts:
            assert last.usage.completion_tokens <= 4

    @pytest.mark.anyio
    async def test_the_same_greedy_request_says_the_same(self, make: Make) -> None:
        engine = make()
        first, second = await collect(engine, ask()), await collect(engine, ask())
        assert text_of(first) == text_of(second)
        assert not any("�" in event.text for event in first if isinstance(event, Delta))

    @pytest.mark.anyio
    async def test_a_plain_prompt_is_continued(self, make: Make) -> None:
        last = check_shape(await collect(make(), ask(messages=(), prompt="Once upon a time", max_tokens=4)))
        assert isinstance(last, Finished)
        assert last.usage.completion_tokens == 4

    @pytest.mark.anyio
    async def test_several_at_once_each_end_once(self, make: Make) -> None:
        engine = make(slots=2, queue_limit=8)
        answers = await asyncio.gather(*(collect(engine, ask(f"Question {n}", user=f"u{n}")) for n in range(5)))
        assert all(isinstance(check_shape(events), Finished) for events in answers)
        await until_idle(engine)

    @pytest.mark.anyio
    async def test_nothing_asked_is_refused(self, make: Make) -> None:
        events = await collect(make(), ask(messages=(), prompt=None))
        last = check_shape(events)
        assert len(events) == 1
        assert isinstance(last, Failed)
        assert isinstance(last.error, RequestError)

    @pytest.mark.anyio
    async def test_over_long_prompt_is_refused_with_both_numbers(self, make: Make) -> None:
        engine = make(context_tokens=256)
        events = await collect(engine, ask("word " * 600, max_tokens=16))
        last = check_shape(events)
        assert len(events) == 1
        assert isinstance(last, Failed)
        assert isinstance(last.error, ContextLengthExceeded)
        assert last.error.limit_tokens == 256
        assert last.error.prompt_tokens > 256
        assert "256" in last.error.message
        assert str(last.error.prompt_tokens) in last.error.message

    @pytest.mark.anyio
    async def test_a_request_may_lower_the_context(self, make: Make) -> None:
        engine = make(context_tokens=512)
        events = await collect(engine, ask("word " * 100, context_tokens=64))
        last = check_shape(events)
        assert isinstance(last, Failed)
        assert isinstance(last.error, ContextLengthExceeded)
        assert last.error.limit_tokens == 64

    @pytest.mark.anyio
    async def test_deadline_keeps_what_was_said(self, make: Make) -> None:
        engine = make(context_tokens=self.long_tokens + 200)
        last = check_shape(await collect(engine, self.long(timeout_s=0.1)))
        assert isinstance(last, Finished)
        assert last.reason == "deadline"
        assert last.usage.completion_tokens < self.long_tokens
        await until_idle(engine)

    @pytest.mark.anyio
    async def test_deadline_counts_while_waiting(self, make: Make) -> None:
        engine = make(slots=1, context_tokens=self.long_tokens + 200)
        async with aclosing(engine.generate(self.long())) as running:
            await until_text(running)
            last = check_shape(await collect(engine, ask(timeout_s=0.1, user="second")))
        assert isinstance(last, Finished)
        assert last.reason == "deadline"
        await until_idle(engine)

    @pytest.mark.anyio
    async def test_closing_the_stream_cancels_and_frees(self, make: Make) -> None:
        engine = make(slots=1, context_tokens=self.long_tokens + 200)
        async with aclosing(engine.generate(self.long())) as events:
            await until_text(events)
            assert engine.health().running == 1
        await until_idle(engine)
        assert isinstance(check_shape(await collect(engine, ask())), Finished)

    @pytest.mark.anyio
    async def test_cancelling_the_reader_cancels_and_frees(self, make: Make) -> None:
        engine = make(slots=1, context_tokens=self.long_tokens + 200)
        started = asyncio.Event()

        async def read() -> None:
            async with aclosing(engine.generate(self.long())) as events:
                async for event in events:
                    if isinstance(event, Delta):
                        started.set()

        reader = asyncio.create_task(read())
        await asyncio.wait_for(started.wait(), PATIENCE_S)
        reader.cancel()
        await asyncio.gather(reader, return_exceptions=True)
        await until_idle(engine)
        assert isinstance(check_shape(await collect(engine, ask())), Finished)

    @pytest.mark.anyio
    async def test_full_queue_refuses_at_once(self, make: Make) -> None:
        engine = make(slots=1, queue_limit=1, context_tokens=self.long_tokens + 200)
        async with (
            aclosing(engine.generate(self.long())) as running,
            aclosing(engine.generate(ask(user="b"))) as waiting,
        ):
            await until_text(running)
            place = await anext(waiting)
            assert isinstance(place, Queued)
            assert place.position >= 1
            events = await collect(engine, ask(user="c"))
        last = check_shape(events)
        assert len(events) == 1
        assert isinstance(last, Failed)
        assert isinstance(last.error, TooManyRequests)
        assert last.error.retry_after_s > 0
        await until_idle(engine)

    @pytest.mark.anyio
    async def test_leaving_the_queue_frees_the_place(self, make: Make) -> None:
        engine = make(slots=1, queue_limit=1, context_tokens=self.long_tokens + 200)
        async with aclosing(engine.generate(self.long())) as running:
            await until_text(running)
            async with aclosing(engine.generate(ask(user="b"))) as waiting:
                await anext(waiting)
            async with asyncio.timeout(PATIENCE_S):
                while engine.health().queued:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            async with aclosing(engine.generate(ask(user="c"))) as waiting:
                assert isinstance(await anext(waiting), Queued)
        await until_idle(engine)

    @pytest.mark.anyio
    async def test_counts_grow_with_the_conversation(self, make: Make) -> None:
        engine = make()
        short = (Message("user", "Hello"),)
        longer = (Message("user", "Hello there, how are you today?"),)
        counts = await engine.count_tokens([short, longer, (*longer, *short)])
        assert 0 < counts[0] < counts[1] < counts[2]

    @pytest.mark.anyio
    async def test_tools_count(self, make: Make) -> None:
        engine = make()
        short = (Message("user", "Hello"),)
        (bare,) = await engine.count_tokens([short])
        assert await engine.count_tokens([short], (Tool("clock", "Tells the time."),)) > [bare]

    @pytest.mark.anyio
    async def test_text_survives_tokens(self, make: Make) -> None:
        engine = make()
        text = "Hello, 世界 👋"
        try:
            ids = await engine.tokenize(text)
        except RequestError:
            return  # an engine may say that it cannot
        assert ids
        assert await engine.detokenize(ids) == text

    @pytest.mark.anyio
    async def test_health_and_info(self, make: Make) -> None:
        engine = make(slots=2, context_tokens=512)
        await collect(engine, ask())
        info, health = engine.info(), engine.health()
        assert info.model
        assert info.slots == 2
        assert info.context_tokens == 512
        assert health.ready
        assert (health.running, health.queued) == (0, 0)

    @pytest.mark.anyio
    async def test_drain_lets_running_answers_finish_and_refuses_new_ones(self, make: Make) -> None:
        engine = make()
        running = engine.generate(ask(max_tokens=20))
        events = await until_text(running)
        drain = asyncio.create_task(engine.drain(PATIENCE_S))
        events += [event async for event in running]
        await drain
        last = check_shape(events)
        assert isinstance(last, Finished)
        assert last.reason == "length"
        refused = await collect(engine, ask())
        assert len(refused) == 1
        assert isinstance(refused[0], Failed)
        assert isinstance(refused[0].error, EngineUnavailable)
        assert not engine.health().ready
        await engine.drain(1.0)

    @pytest.mark.anyio
    async def test_drain_cancels_what_takes_too_long(self, make: Make) -> None:
        engine = make(context_tokens=self.long_tokens + 200)
        running = engine.generate(self.long())
        events = await until_text(running)

        async def rest() -> list[Event]:
            return [event async for event in running]

        reader = asyncio.create_task(rest())
        await engine.drain(0.05)
        last = check_shape(events + await asyncio.wait_for(reader, PATIENCE_S))
        if isinstance(last, Finished):
            assert last.reason == "cancelled"
        else:
            assert isinstance(last.error, EngineUnavailable)
        assert engine.health().running == 0
