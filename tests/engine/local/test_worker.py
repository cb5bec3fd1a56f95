"""Every request ends once, alone, and leaves nothing behind: cancels, deadlines, failures, 1,000 requests."""

from __future__ import annotations

import asyncio
import gc
import json
import random
import time
import tracemalloc
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from qwen_app.engine.local.compute.drafts import DraftBudget
from qwen_app.engine.local.compute.model_runner import ScheduledChunk
from qwen_app.engine.local.compute.prefill_budget import PrefillBudget
from qwen_app.engine.local.compute.recovery import failure_of
from qwen_app.engine.local.grammar_admission import GrammarAdmission
from qwen_app.engine.local.steps import sequence as sequence_module
from qwen_app.engine.local.steps.sequence import SequenceState
from qwen_app.errors import EngineError, EngineUnavailable, OutOfDeviceMemory
from qwen_app.messages import (
    Delta,
    Event,
    Failed,
    Finished,
    GenerationRequest,
    JsonSchema,
    Queued,
    SamplingParams,
)
from tests.engine.contract import ask, check_shape, collect, text_of, until_idle, until_text
from tests.engine.local.tiny import OpenEngine, StepGate, ids_of, load_talkative, prefills, tiny_engine, until

VICTIM = "@"  # in the prompt of the request that a test harms
NO_MEMORY = "injected: out of memory"


@pytest.fixture(scope="module")
def shared(tiny_qwen_dir: Path) -> Iterator[OpenEngine]:
    opened = OpenEngine(load_talkative(tiny_qwen_dir), slots=4, queue_limit=256)
    yield opened
    asyncio.run(opened.engine.drain(0.0))


@pytest.fixture
def opened(shared: OpenEngine) -> Iterator[OpenEngine]:
    shared.heal()
    shared.forget()
    yield shared
    shared.heal()


def say(prompt: str, max_tokens: int = 20, **more: Any) -> GenerationRequest:
    return ask(messages=(), prompt=prompt, max_tokens=max_tokens, user=prompt, **more)


async def answers(opened: OpenEngine, *requests: GenerationRequest) -> list[list[Event]]:
    return await asyncio.gather(*(collect(opened.engine, request) for request in requests))


async def held(opened: OpenEngine, *requests: GenerationRequest) -> tuple[StepGate, list[asyncio.Task[list[Event]]]]:
    """All of them running, and the step they are in held back by the gate."""
    tasks = [asyncio.create_task(collect(opened.engine, request)) for request in requests]
    await until(lambda: opened.engine.health().running == len(requests))
    opened.runner.before = gate = StepGate()
    gate.close()
    await until(lambda: gate.holding)
    return gate, tasks


def failing_once(
    monkeypatch: pytest.MonkeyPatch, owner: object, name: str, at: int, error: Exception
) -> list[tuple[Any, ...]]:
    """Let the call number ``at`` of a method, from now on, fail. The arguments of each call, as they come."""
    original, calls = getattr(owner, name), list[tuple[Any, ...]]()

    def failing(*arguments: Any) -> Any:
        calls.append(arguments)
        if len(calls) == at:
            raise error
        return original(*arguments)

    monkeypatch.setattr(owner, name, failing)
    return calls


def nothing_held(opened: OpenEngine) -> bool:
    return opened.engine.idle and not any(slot.busy for slot in opened.parts.prefix_cache.slots)


class Harm:
    """Raises in every step that computes a token of the victim, from its token ``first`` on, ``times`` times."""

    def __init__(self, error: Callable[[], BaseException], *, first: int = 0, times: int = 1_000_000) -> None:
        self._error = error
        self._first = first
        self.left = times
        self.slot = -1
        self._tokens = 0

    def __call__(self, chunks: Sequence[ScheduledChunk]) -> None:
        if any(ord(VICTIM) - 33 in chunk.token_ids and chunk.span.start == 0 for chunk in chunks):
            self.slot = next(chunk.span.slot for chunk in chunks if ord(VICTIM) - 33 in chunk.token_ids)
        if any(chunk.span.slot == self.slot for chunk in chunks):
            if self._tokens >= self._first and self.left:
                self.left -= 1
                raise self._error()
            self._tokens += 1


# --- cancelling and deadlines


@pytest.mark.anyio
async def test_cancelling_stops_within_two_tokens_and_frees_the_slot(opened: OpenEngine) -> None:
    async with aclosing(opened.engine.generate(say("cancel me", 500))) as events:
        seen = await until_text(events)
        steps = len(opened.runner.computed)
    await until_idle(opened.engine)
    assert len(opened.runner.computed) - steps <= 2 + len(ids_of(seen))
    assert nothing_held(opened)


@pytest.mark.anyio
async def test_a_request_cancelled_in_the_queue_never_starts(opened: OpenEngine) -> None:
    seen: list[int] = []

    def noting(logits: torch.Tensor, chunks: Sequence[ScheduledChunk]) -> torch.Tensor:
        seen.extend(token_id for chunk in chunks for token_id in chunk.token_ids)
        return logits

    opened.runner.change = noting
    gate, running = await held(opened, *(say(f"r{n}", 100) for n in range(4)))
    async with aclosing(opened.engine.generate(say(VICTIM))) as waiting:
        assert await anext(waiting) == Queued(1)
    gate.open()
    await asyncio.gather(*running)
    await until_idle(opened.engine)
    assert ord(VICTIM) - 33 not in seen
    assert nothing_held(opened)


@pytest.mark.anyio
@pytest.mark.parametrize("seconds", [3, 12])
async def test_a_deadline_is_kept_to_the_step(tiny_qwen_dir: Path, seconds: int) -> None:
    steps: list[int] = []
    async with tiny_engine(tiny_qwen_dir, clock=lambda: float(len(steps))) as opened:  # a step, a second
        opened.runner.before = lambda chunks: steps.append(len(chunks))
        last = check_shape(await collect(opened.engine, say("tick", 100, timeout_s=seconds)))
    assert isinstance(last, Finished)
    assert last.reason == "deadline"
    assert abs(last.usage.completion_tokens - seconds) <= 1


@pytest.mark.anyio
async def test_what_prepares_a_request_is_time_of_its_own(tiny_qwen_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seconds: list[str] = []
    admit = GrammarAdmission.admit

    async def admit_slowly(self: GrammarAdmission, request: GenerationRequest) -> None:
        seconds.extend(["admitting"] * 9)
        await admit(self, request)

    monkeypatch.setattr(GrammarAdmission, "admit", admit_slowly)
    async with tiny_engine(tiny_qwen_dir, clock=lambda: float(len(seconds))) as opened:
        opened.runner.before = lambda chunks: seconds.append("a step")
        last = check_shape(await collect(opened.engine, say("tick", 100, timeout_s=12)))
    assert isinstance(last, Finished)
    assert last.reason == "deadline"
    assert abs(last.usage.completion_tokens - 3) <= 1
    assert last.timings.queued_s >= 9
    assert abs(last.timings.total_s - 12) <= 1


@pytest.mark.anyio
async def test_short_prompts_without_end_do_not_starve_a_long_one(
    opened: OpenEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opened.parts, "prefill_budget", PrefillBudget(min_tokens=16, max_tokens=16))
    long = asyncio.create_task(collect(opened.engine, say("long" * 50, 1)))
    submitted = 0

    async def ask_short_ones() -> None:
        nonlocal submitted
        while not long.done() and submitted < 300:
            submitted += 1
            await collect(opened.engine, say(f"{submitted:03d} is a short one"[:16], 1))

    await asyncio.gather(*(ask_short_ones() for _ in range(3)))
    assert submitted < 100
    check_shape(await long)


@pytest.mark.slow
@pytest.mark.anyio
async def test_a_document_that_waits_for_its_slot_is_closed_at_its_deadline(
    tiny_qwen_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sequence_module, "CLOSING_TIME_S", 0.1)
    schema = {"type": "object", "properties": {"a": {"type": "string", "minLength": 400}}, "required": ["a"]}
    async with tiny_engine(tiny_qwen_dir, slots=2, context_tokens=2048) as opened:
        document = ask(grammar=JsonSchema(schema), max_tokens=1000, user="ada", timeout_s=4.0)
        await collect(opened.engine, replace(document, timeout_s=60.0))  # the grammar is compiled by now
        opened.runner.before = lambda chunks: time.sleep(0.02)
        tasks = [asyncio.create_task(collect(opened.engine, ask(max_tokens=500, user="ada")))]
        await until(lambda: opened.engine.health().running == 1)
        tasks.append(asyncio.create_task(collect(opened.engine, document)))
        await until(lambda: opened.engine.health().running == 2)
        await asyncio.sleep(0.5)
        tasks.append(asyncio.create_task(collect(opened.engine, ask(max_tokens=500, user="bob"))))
        events = await tasks[1]
        for task in (tasks[0], tasks[2]):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    last = check_shape(events)
    assert isinstance(last, Finished)
    assert (last.reason, last.closed) == ("deadline", True)
    assert len(json.loads(text_of(events))["a"]) >= 400
    assert last.usage.completion_tokens == len(ids_of(events))


@pytest.mark.anyio
async def test_places_in_the_queue_are_told_as_they_change(opened: OpenEngine) -> None:
    gate, running = await held(opened, *(say(f"r{n}", 100 + 10 * n) for n in range(4)))
    waiting = []
    for n in range(3):
        waiting.append(asyncio.create_task(collect(opened.engine, say(f"w{n}"))))
        await until(lambda: opened.engine.health().queued == len(waiting))
    gate.open()
    for n, events in enumerate(await asyncio.gather(*waiting)):
        check_shape(events)
        places = [event.position for event in events if isinstance(event, Queued)]
        assert places[0] == n + 1
        assert places == sorted(places, reverse=True)
    await asyncio.gather(*running)


# --- failures


@pytest.mark.anyio
@pytest.mark.parametrize("first", [0, 1, 7, 19])
async def test_an_exception_fails_one_request_alone(opened: OpenEngine, first: int) -> None:
    requests = [say("one"), say(VICTIM), say("two")]
    sound = await answers(opened, *requests)
    opened.forget()
    opened.runner.before = Harm(lambda: ValueError("injected"), first=first)
    one, harmed, two = await answers(opened, *requests)
    last = check_shape(harmed)
    assert isinstance(last, Failed)
    assert isinstance(last.error, EngineError)
    assert last.partial_text == text_of(harmed)
    assert text_of(sound[1]).startswith(text_of(harmed))
    assert len(ids_of(harmed)) == first
    assert [text_of(one), text_of(two)] == [text_of(sound[0]), text_of(sound[2])]
    opened.heal()
    assert text_of((await answers(opened, requests[1]))[0]) == text_of(sound[1])
    assert nothing_held(opened)


@pytest.mark.anyio
async def test_a_request_whose_text_cannot_be_made_fails_alone(
    opened: OpenEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    accept = SequenceState.accept

    def broken(self: SequenceState, sampled: Any, now: float) -> str:
        if self.user == VICTIM and len(self.generated_ids) == 3:
            raise KeyError("injected")
        return accept(self, sampled, now)

    monkeypatch.setattr(SequenceState, "accept", broken)
    one, harmed = await answers(opened, say("one"), say(VICTIM))
    assert isinstance(check_shape(harmed), Failed)
    assert len(ids_of(harmed)) == 3
    assert isinstance(check_shape(one), Finished)
    await until_idle(opened.engine)
    assert nothing_held(opened)


@pytest.mark.anyio
@pytest.mark.parametrize("waits", [False, True])
async def test_a_request_that_cannot_be_ended_at_its_deadline_fails_alone(
    tiny_qwen_dir: Path, monkeypatch: pytest.MonkeyPatch, waits: bool
) -> None:
    run_out = SequenceState.run_out

    def broken(self: SequenceState, now: float) -> str:
        if self.user == VICTIM:
            raise KeyError("injected")
        return run_out(self, now)

    monkeypatch.setattr(SequenceState, "run_out", broken)
    steps: list[int] = []
    async with tiny_engine(tiny_qwen_dir, slots=1 if waits else 2, clock=lambda: float(len(steps))) as opened:
        opened.runner.before = lambda chunks: steps.append(len(chunks))
        one = asyncio.create_task(collect(opened.engine, say("one", 60, timeout_s=1000)))
        await until(lambda: opened.engine.health().running == 1)
        harmed = await collect(opened.engine, say(VICTIM, 60, timeout_s=8))
        assert isinstance(check_shape(harmed), Failed)
        assert isinstance(check_shape(await one), Finished)
        await until_idle(opened.engine)


@pytest.mark.anyio
@pytest.mark.parametrize("value", [torch.nan, -torch.inf])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
async def test_impossible_logits_fail_one_request_with_a_clear_error(
    opened: OpenEngine, value: float, temperature: float
) -> None:
    def spoil(logits: torch.Tensor, chunks: Sequence[ScheduledChunk]) -> torch.Tensor:
        drawing = [chunk for chunk in chunks if chunk.wants_logits]
        rows = [index for index, chunk in enumerate(drawing) if ord(VICTIM) - 33 in chunk.token_ids]
        logits = logits.clone()
        logits[rows] = value
        return logits

    opened.runner.change = spoil
    sampling = say("x").sampling
    requests = [say("one"), say(VICTIM)]
    requests = [
        type(request)(
            **{name: getattr(request, name) for name in request.__slots__}
            | {"sampling": type(sampling)(temperature=temperature, seed=1, max_tokens=20)}
        )
        for request in requests
    ]
    one, harmed = await answers(opened, *requests)
    last = check_shape(harmed)
    assert isinstance(last, Failed)
    assert "no token" in last.error.message
    assert isinstance(check_shape(one), Finished)


@pytest.mark.anyio
async def test_a_failure_on_the_way_into_a_slot_leaves_no_slot_behind(
    opened: OpenEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing_once(monkeypatch, opened.parts.sampler, "begin", 1, ValueError("injected"))
    assert isinstance(check_shape((await answers(opened, say("one")))[0]), Failed)
    await until_idle(opened.engine)
    assert nothing_held(opened)
    assert isinstance(check_shape((await answers(opened, say("one")))[0]), Finished)


@pytest.mark.anyio
async def test_a_step_nobody_foresaw_spares_those_who_wait(opened: OpenEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    gate, running = await held(opened, *(say(f"r{n}", 100) for n in range(4)))
    waiting = [asyncio.create_task(collect(opened.engine, say(f"w{n}"))) for n in range(2)]
    await until(lambda: opened.engine.health().queued == 2)
    failing_once(monkeypatch, opened.parts.sampler, "likeliest", 3, LookupError("injected"))
    gate.open()
    lasts = [check_shape(events) for events in await asyncio.gather(*running, *waiting)]
    assert [type(last) for last in lasts] == [Failed] * 4 + [Finished] * 2
    await until_idle(opened.engine)
    assert nothing_held(opened)
    known = [slot for slot in opened.parts.prefix_cache.slots if len(slot.token_ids)]
    assert len(known) == 2  # of the others nothing is trusted


# --- memory


@pytest.mark.slow
@pytest.mark.anyio
@pytest.mark.parametrize("first", [0, 1, 9])
async def test_out_of_memory_is_survived_by_all(opened: OpenEngine, first: int) -> None:
    requests = [say("one"), say(VICTIM * 30), say("two")]
    sound = await answers(opened, *requests)
    opened.forget()
    opened.runner.before = harm = Harm(lambda: torch.OutOfMemoryError(NO_MEMORY), first=first, times=2)
    harmed = await answers(opened, *requests)
    assert harm.left == 0
    assert all(isinstance(check_shape(events), Finished) for events in harmed)
    assert [text_of(events) for events in harmed] == [text_of(events) for events in sound]


@pytest.mark.anyio
async def test_a_seed_gives_the_same_where_memory_was_short_while_drawing(
    opened: OpenEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened.parts.drafts = DraftBudget(enabled=False)
    asked = replace(say("one"), sampling=SamplingParams(temperature=1.0, max_tokens=20, seed=5))
    (sound,) = await answers(opened, asked)
    calls = failing_once(monkeypatch, opened.parts.sampler, "_draw", 10, torch.OutOfMemoryError(NO_MEMORY))
    (harmed,) = await answers(opened, asked)
    assert len(calls) > 10
    assert ids_of(harmed) == ids_of(sound)


@pytest.mark.anyio
async def test_no_memory_for_a_prompts_likelihoods_is_survived_by_all(
    opened: OpenEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = failing_once(monkeypatch, opened.parts.sampler, "score", 1, torch.OutOfMemoryError(NO_MEMORY))
    scored = SamplingParams(temperature=0.0, max_tokens=3, logprobs=True, prompt_logprobs=True)
    ends = await answers(opened, say("one", 60), replace(say("two" * 20), sampling=scored))
    assert all(isinstance(check_shape(events), Finished) for events in ends)
    assert len(calls) > 1


@pytest.mark.anyio
@pytest.mark.parametrize("method", ["score", "likeliest"])
async def test_no_likelihood_of_a_prompt_is_lost_with_a_step_that_lacked_memory(
    method: str, opened: OpenEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = failing_once(monkeypatch, opened.parts.sampler, method, 1, torch.OutOfMemoryError(NO_MEMORY))
    scored = SamplingParams(temperature=0.0, max_tokens=3, prompt_logprobs=True)
    (events,) = await answers(opened, replace(say("two" * 60), sampling=scored))
    last = check_shape(events)
    assert isinstance(last, Finished)
    assert len(calls) > 1
    assert sum(len(event.logprobs) for event in prefills(events)) == last.usage.prompt_tokens


@pytest.mark.anyio
async def test_a_prompt_that_nobody_can_go_on_with_takes_no_place(opened: OpenEngine) -> None:
    scored = SamplingParams(temperature=0.0, max_tokens=3, logprobs=True, prompt_logprobs=True)
    await answers(opened, replace(say("two" * 20), sampling=scored))
    await until_idle(opened.engine)
    assert not any(len(slot.token_ids) for slot in opened.parts.prefix_cache.slots)


@pytest.mark.slow
@pytest.mark.anyio
async def test_too_many_at_once_are_answered_one_after_the_other(opened: OpenEngine) -> None:
    requests = [say("one"), say("two"), say("three")]
    sound = await answers(opened, *requests)
    opened.forget()
    together: list[int] = []

    def room_for_one(chunks: Sequence[ScheduledChunk]) -> None:
        together.append(len(chunks))
        if len(chunks) > 1 and len(together) > 8:
            raise torch.OutOfMemoryError(NO_MEMORY)

    opened.runner.before = room_for_one
    harmed = await answers(opened, *requests)
    assert all(isinstance(check_shape(events), Finished) for events in harmed)  # and none told of a queue again
    assert [text_of(events) for events in harmed] == [text_of(events) for events in sound]
    assert max(together) > 1
    assert together[-1] == 1
    assert nothing_held(opened)


@pytest.mark.slow
@pytest.mark.anyio
async def test_a_request_without_any_room_fails_and_says_so(opened: OpenEngine) -> None:
    opened.runner.before = Harm(lambda: torch.OutOfMemoryError(NO_MEMORY))
    one, harmed = await answers(opened, say("one"), say(VICTIM))
    last = check_shape(harmed)
    assert isinstance(last, Failed)
    assert isinstance(last.error, OutOfDeviceMemory)
    assert isinstance(check_shape(one), Finished)
    opened.heal()
    assert isinstance(check_shape((await answers(opened, say(VICTIM)))[0]), Finished)


@pytest.mark.anyio
@pytest.mark.parametrize(("refusals", "answered"), [(2, 2), (3, 1)])
async def test_no_memory_for_a_slot_fails_one_request_at_most(
    opened: OpenEngine, refusals: int, answered: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin, left = opened.parts.sampler.begin, [torch.OutOfMemoryError(NO_MEMORY)] * refusals

    def begin_later(*arguments: Any) -> None:
        if left:
            raise left.pop()
        begin(*arguments)

    monkeypatch.setattr(opened.parts.sampler, "begin", begin_later)
    events = await answers(opened, say("one"), say("two"))
    last = [check_shape(of_one) for of_one in events]
    assert sum(isinstance(one, Finished) for one in last) == answered
    assert all(isinstance(one.error, OutOfDeviceMemory) for one in last if isinstance(one, Failed))
    assert nothing_held(opened)


@pytest.mark.slow
@pytest.mark.anyio
async def test_tensors_of_a_failed_step_are_not_kept(opened: OpenEngine) -> None:
    held: list[weakref.ref[torch.Tensor]] = []

    def fail_with_tensors(logits: torch.Tensor, chunks: Sequence[ScheduledChunk]) -> torch.Tensor:
        if len(held) < 2:
            activations = torch.zeros(1000)
            held.append(weakref.ref(activations))
            raise torch.OutOfMemoryError(f"{NO_MEMORY} with {activations.shape} in the frame")
        return logits

    opened.runner.change = fail_with_tensors
    assert isinstance(check_shape((await answers(opened, say("one")))[0]), Finished)
    assert len(held) == 2
    assert [reference() for reference in held] == [None, None]


def test_failures_are_told_apart() -> None:
    kinds = {
        "CUDA out of memory. Tried to allocate": "OUT_OF_MEMORY",
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`": "OUT_OF_MEMORY",
        "CUDA error: device-side assert triggered": "STICKY",
        "CUDA error: an illegal memory access was encountered": "STICKY",
        "CUDA error: operation not permitted when stream is capturing": "OTHER",
        "CUDA error: operation failed due to a previous error during capture": "OTHER",
        "shape '[2]' is invalid": "OTHER",
    }
    assert {text: failure_of(RuntimeError(text)).name for text in kinds} == kinds
    assert failure_of(MemoryError()).name == "OUT_OF_MEMORY"
    assert failure_of(torch.OutOfMemoryError("x")).name == "OUT_OF_MEMORY"


# --- the device is lost, or hangs


def raising(error: BaseException) -> Callable[[Sequence[ScheduledChunk]], None]:
    def before(chunks: Sequence[ScheduledChunk]) -> None:
        raise error

    return before


def lost_in_the_model(opened: OpenEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    opened.runner.before = raising(RuntimeError("CUDA error: device-side assert triggered"))


def lost_while_sampling(opened: OpenEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    def sample(*arguments: Any) -> Any:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    monkeypatch.setattr(opened.parts.sampler, "likeliest", sample)


def panic(opened: OpenEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    class PanicException(BaseException):  # as native code raises it
        pass

    opened.runner.before = raising(PanicException("injected"))


@pytest.mark.anyio
@pytest.mark.parametrize("fault", [lost_in_the_model, lost_while_sampling, panic])
async def test_a_lost_device_ends_every_request_and_asks_for_a_new_process(
    tiny_qwen_dir: Path, fault: Callable[[OpenEngine, pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with tiny_engine(tiny_qwen_dir, slots=2) as opened:
        gate, running = await held(opened, *(say(f"r{n}", 100) for n in range(2)))
        waiting = [asyncio.create_task(collect(opened.engine, say(f"w{n}"))) for n in range(2)]
        await until(lambda: opened.engine.health().queued == 2)
        fault(opened, monkeypatch)
        gate.open()
        for events in await asyncio.gather(*running, *waiting):
            last = check_shape(events)
            assert isinstance(last, Failed)
            assert isinstance(last.error, EngineUnavailable)
            assert last.partial_text == text_of(events)
        await until(lambda: bool(opened.fatal))
        assert len(opened.fatal) == 1
        assert opened.engine.health().state == "stopped"
        refused = await collect(opened.engine, say("later"))
        assert len(refused) == 1
        assert isinstance(refused[0], Failed)
        assert isinstance(refused[0].error, EngineUnavailable)
        assert opened.engine.idle


# --- in the long run


@pytest.mark.slow
@pytest.mark.anyio
@pytest.mark.parametrize("seed", [1, 2])
async def test_two_hundred_requests_in_disorder_end_once_each(opened: OpenEngine, seed: int) -> None:
    chance = random.Random(seed)
    errors: tuple[Callable[[], Exception], ...] = (
        lambda: ValueError("injected"),
        lambda: torch.OutOfMemoryError(NO_MEMORY),
    )

    def now_and_then(chunks: Sequence[ScheduledChunk]) -> None:
        if chance.random() < 0.01:
            raise chance.choice(errors)()

    opened.runner.before = now_and_then
    people = random.Random(seed)

    async def one(n: int) -> str:
        timeout_s = people.choice([None, None, None, 0.0, 0.05])
        request = ask(
            messages=(), prompt=f"{n} " * people.randint(1, 30), max_tokens=people.randint(1, 12),
            user=f"u{n % 7}", timeout_s=timeout_s,
        )  # fmt: skip
        leaves_after = people.choice([0, 1, 3, 99, 99, 99])
        await asyncio.sleep(people.random() * 0.5)
        seen: list[Event] = []
        async with aclosing(opened.engine.generate(request)) as events:
            async for event in events:
                seen.append(event)
                if len(seen) > leaves_after:
                    return "left"
        last = check_shape(seen)
        return last.reason if isinstance(last, Finished) else type(last.error).__name__

    ends = await asyncio.gather(*(one(n) for n in range(200)))
    await until_idle(opened.engine)
    assert {"left", "length", "deadline"} <= set(ends)
    assert set(ends) <= {"left", "length", "deadline", "EngineError", "OutOfDeviceMemory"}
    assert nothing_held(opened)
    assert isinstance(check_shape((await answers(opened, say("after")))[0]), Finished)


def census(root: object) -> dict[str, int]:
    """The size of everything countable in the engine's own objects."""
    sizes: dict[str, int] = {}
    seen: set[int] = set()
    todo: list[tuple[str, object]] = [("engine", root)]
    while todo:
        path, value = todo.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, dict | list | set | frozenset | tuple):
            sizes[path] = len(value)
        if type(value).__module__.startswith("qwen_app."):
            names = [name for kind in type(value).__mro__ for name in getattr(kind, "__slots__", ())]
            for name in (*getattr(value, "__dict__", {}), *names):
                todo.append((f"{path}.{name}", getattr(value, name, None)))
    return sizes


@pytest.mark.slow
@pytest.mark.anyio
async def test_a_thousand_requests_leave_nothing_behind(opened: OpenEngine) -> None:
    async def batch(count: int) -> None:
        for start in range(0, count, 50):
            requests = [ask(f"question {start + n}", max_tokens=2, user=f"user {start + n}") for n in range(50)]
            for events in await answers(opened, *requests):
                assert isinstance(check_shape(events), Finished)
        await until_idle(opened.engine)
        opened.runner.computed.clear()

    await batch(600)  # more than the answers that are remembered, so that all bounded stores are full
    gc.collect()
    before = census(opened.engine)
    assert len(before) > 15
    tracemalloc.start()
    try:
        await batch(50)
        gc.collect()
        held_bytes = tracemalloc.get_traced_memory()[0]
        await batch(400)
        gc.collect()
        growth_bytes = tracemalloc.get_traced_memory()[0] - held_bytes
    finally:
        tracemalloc.stop()
    grown = {path: size for path, size in census(opened.engine).items() if size > before.get(path, 0)}
    assert not {path: size for path, size in grown.items() if size > before.get(path, 0) + 8}
    assert growth_bytes < 400 * 512


@pytest.mark.anyio
async def test_requests_from_several_event_loops_at_once(opened: OpenEngine) -> None:
    async def many() -> list[list[Event]]:
        return await answers(opened, *(say(f"r{n}", 3) for n in range(20)))

    results = await asyncio.gather(*(asyncio.to_thread(asyncio.run, many()) for _ in range(3)))
    assert all(isinstance(check_shape(events), Finished) for batch in results for events in batch)
    assert sum(isinstance(event, Delta) for batch in results for events in batch for event in events) >= 180


@pytest.mark.anyio
async def test_an_event_loop_that_is_gone_disturbs_nobody(opened: OpenEngine) -> None:
    opened.runner.before = gate = StepGate()
    gate.close()

    def leave() -> None:
        loop = asyncio.new_event_loop()
        events = opened.engine.generate(say("gone", 50))
        loop.run_until_complete(anext(events))
        loop.close()

    answering = asyncio.create_task(collect(opened.engine, say("here", 20)))
    await asyncio.to_thread(leave)
    gate.open()
    assert isinstance(check_shape(await answering), Finished)
    await until_idle(opened.engine)


@pytest.mark.anyio
async def test_numbers_that_are_none_do_not_reach_who_takes_the_slot_next(opened: OpenEngine) -> None:
    """A masked key weighs nothing, but nothing times NaN is NaN: what a broken answer leaves behind must go."""
    requests = [say("a short one", 30), say("a long neighbour " * 12, 60)]
    sound = await answers(opened, *requests)
    opened.forget()

    def spoil(logits: torch.Tensor, chunks: Sequence[ScheduledChunk]) -> torch.Tensor:
        for chunk in chunks:
            for tensor in (*opened.parts.kv_cache.keys, *opened.parts.kv_cache.values):
                start = opened.parts.kv_cache.cell(chunk.span.slot, 0)
                tensor[start : start + chunk.span.end] = torch.nan
        return torch.full_like(logits, torch.nan)

    opened.runner.change = spoil
    broken = await answers(opened, *(say(f"{n}" * 200) for n in range(4)))
    assert all(isinstance(check_shape(events), Failed) for events in broken)
    opened.heal()
    assert [text_of(events) for events in await answers(opened, *requests)] == [text_of(events) for events in sound]
