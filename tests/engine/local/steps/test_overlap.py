"""Steps that overlap: a step is launched before the tokens of the last are read, and answers are what they would be."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qwen_app.engine.local.compute.drafts import DraftBudget
from qwen_app.engine.local.compute.model_runner import ScheduledChunk
from qwen_app.messages import Delta, Event, Failed, Finished, GenerationRequest, JsonSchema, SamplingParams, Tool
from tests.engine.contract import ask, check_shape, collect, text_of
from tests.engine.local.tiny import OpenEngine, StepGate, ids_of, load_talkative, until

pytestmark = pytest.mark.anyio

WAYS = {
    "greedy": SamplingParams(temperature=0.0, max_tokens=40),
    "sampled": SamplingParams(temperature=1.0, max_tokens=37, seed=5),
    "cut": SamplingParams(temperature=0.8, top_p=0.8, top_k=20, max_tokens=40, seed=6),
    "penalised": SamplingParams(temperature=0.7, top_k=20, repetition_penalty=1.2, frequency_penalty=0.3, seed=3),
    "likely": SamplingParams(temperature=0.7, top_k=20, max_tokens=30, seed=9, logprobs=True, top_logprobs=3),
    "at least": SamplingParams(temperature=0.9, max_tokens=40, min_tokens=12, ignore_eos=True, seed=4),
    "of a length": SamplingParams(temperature=0.9, max_tokens=25, min_tokens=25, seed=1),
    "ends soon": SamplingParams(temperature=0.0, max_tokens=40, min_tokens=9, stop_token_ids=tuple(range(40, 90))),
    "biased": SamplingParams(temperature=0.5, max_tokens=20, seed=8, logit_bias=((40, 5.0), (41, 4.0))),
    "one token": SamplingParams(temperature=0.0, max_tokens=1),
    "two tokens": SamplingParams(temperature=0.0, max_tokens=2),
}


def request(way: str, name: str = "", **more: Any) -> GenerationRequest:
    return replace(ask(f"Speak, {way}.", sampling=replace(WAYS[way], **more)), request_id=name or way)


@pytest.fixture
async def opened(tiny_qwen_dir: Path) -> AsyncIterator[OpenEngine]:
    opened = OpenEngine(load_talkative(tiny_qwen_dir), slots=4, context_tokens=512)
    opened.parts.drafts = DraftBudget(enabled=False)
    opened.parts.overlaps = True
    yield opened
    opened.heal()
    await opened.engine.drain(0.0)


async def answered(opened: OpenEngine, requests: Sequence[GenerationRequest], *, overlaps: bool) -> list[list[Event]]:
    opened.parts.overlaps = overlaps
    opened.forget()
    return list(await asyncio.gather(*(collect(opened.engine, one) for one in requests)))


def told(events: list[Event]) -> tuple[object, ...]:
    """What does not hang on the clock."""
    last = check_shape(events)
    assert isinstance(last, Finished)
    return ids_of(events), text_of(events), last.reason, last.usage.completion_tokens, last.stop


def logprobs_of(events: list[Event]) -> list[float]:
    """To be compared within a rounding: a step of other company adds up in another order."""
    return [token.logprob for event in events for token in getattr(event, "logprobs", ())]


async def test_answers_are_the_same_and_most_steps_are_launched_ahead(opened: OpenEngine) -> None:
    requests = [request(way) for way in WAYS]
    plain = await answered(opened, requests, overlaps=False)
    assert opened.runner.ahead == 0
    opened.runner.computed.clear()
    ahead = await answered(opened, requests, overlaps=True)
    assert [told(events) for events in ahead] == [told(events) for events in plain]
    likely = list(WAYS).index("likely")
    assert logprobs_of(ahead[likely]) == pytest.approx(logprobs_of(plain[likely]), abs=1e-3)
    assert len(logprobs_of(ahead[likely])) == WAYS["likely"].max_tokens
    assert opened.runner.ahead > len(opened.runner.computed) / 3


@pytest.mark.parametrize("way", WAYS)
async def test_alone(opened: OpenEngine, way: str) -> None:
    (plain,) = await answered(opened, [request(way)], overlaps=False)
    (ahead,) = await answered(opened, [request(way)], overlaps=True)
    assert told(ahead) == told(plain)
    assert logprobs_of(ahead) == pytest.approx(logprobs_of(plain), abs=1e-3)


async def test_a_stop_string_ends_where_it_would(opened: OpenEngine) -> None:
    (plain,) = await answered(opened, [request("greedy")], overlaps=False)
    stops = (text_of(plain)[11:14],)
    (stopped,) = await answered(opened, [request("greedy", stop=stops)], overlaps=False)
    (ahead,) = await answered(opened, [request("greedy", stop=stops)], overlaps=True)
    assert told(ahead) == told(stopped)
    assert opened.runner.ahead > 0


async def test_the_next_step_is_under_way_when_tokens_are_read(opened: OpenEngine) -> None:
    """What is launched and read, in order: the step after the next is launched once the last was read."""
    order: list[str] = []
    opened.runner.before = lambda chunks: order.append("launch")
    launch = opened.parts.sampler.launch

    def noted(*arguments: Any) -> Any:
        sample = launch(*arguments)
        order.append("draw")
        return _Noted(sample, order)

    opened.parts.sampler.launch = noted  # type: ignore[method-assign, assignment]
    await answered(opened, [request("greedy", max_tokens=6)], overlaps=True)
    decoding = order[order.index("draw") - 1 :]
    assert decoding[:9] == ["launch", "draw", "launch", "draw", "read", "launch", "draw", "read", "launch"]


class _Noted:
    """A pending sample that says when it is read."""

    def __init__(self, sample: Any, order: list[str]) -> None:
        self._sample, self._order, self.chosen = sample, order, sample.chosen

    def read(self) -> Any:
        self._order.append("read")
        return self._sample.read()


async def test_whoever_is_held_to_a_grammar_or_looks_twice_goes_step_by_step(opened: OpenEngine) -> None:
    schema = JsonSchema({"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]})
    await answered(opened, [ask(grammar=schema, max_tokens=20)], overlaps=True)
    tool = Tool("look", "", {"type": "object"})
    for sampling in (replace(WAYS["greedy"], ignore_eos=True), replace(WAYS["greedy"], min_tokens=40)):
        await answered(opened, [ask(sampling=sampling, tools=[tool])], overlaps=True)
    opened.parts.sampler._shortlist = 8
    await answered(opened, [request("sampled", top_p=0.5)], overlaps=True)
    assert opened.runner.ahead == 0


async def test_one_that_leaves_disturbs_nobody_and_its_slot_serves_the_next(opened: OpenEngine) -> None:
    plain = await answered(opened, [request("sampled"), request("penalised")], overlaps=False)
    opened.parts.overlaps = True
    opened.forget()
    others = [asyncio.create_task(collect(opened.engine, request(way))) for way in ("sampled", "penalised")]
    stream = opened.engine.generate(request("cut", max_tokens=300))
    async for event in stream:
        if isinstance(event, Delta):
            break
    await stream.aclose()  # type: ignore[attr-defined]
    (after,) = await answered_beside(opened, [request("greedy")])
    assert [told(await one) for one in others] == [told(events) for events in plain]
    (alone,) = await answered(opened, [request("greedy")], overlaps=False)
    assert told(after) == told(alone)


async def answered_beside(opened: OpenEngine, requests: Sequence[GenerationRequest]) -> list[list[Event]]:
    return list(await asyncio.gather(*(collect(opened.engine, one) for one in requests)))


@pytest.mark.parametrize("way", ["sampled", "penalised"])
async def test_who_gives_way_goes_on_as_if_nothing_had_been_drawn_for_him(opened: OpenEngine, way: str) -> None:
    """The newest of a user who has every slot is paused for another's, a token being on its way to it."""
    mine = [replace(request(way, f"m{n}", max_tokens=120, seed=n), user="ada") for n in range(4)]
    plain = [told(events) for events in await answered(opened, mine, overlaps=False)]
    gate = StepGate()
    opened.runner.before = gate
    opened.parts.overlaps = True
    opened.forget()
    running = [asyncio.create_task(collect(opened.engine, one)) for one in mine]
    await until(lambda: opened.runner.ahead > 5)
    gate.close()
    await until(lambda: gate.holding)
    other = asyncio.create_task(collect(opened.engine, replace(request("greedy", "other"), user="bob")))
    await until(lambda: opened.engine.health().queued == 1)
    gate.open()
    assert [told(await one) for one in running] == plain
    assert isinstance(check_shape(await other), Finished)


async def test_logits_that_are_no_numbers_fail_their_own_answer_alone(opened: OpenEngine) -> None:
    requests = [request("sampled"), request("greedy")]
    plain = [told(events) for events in await answered(opened, requests, overlaps=False)]

    def spoil(logits: torch.Tensor, chunks: Sequence[ScheduledChunk]) -> torch.Tensor:
        if len(chunks) > 1 and opened.runner.ahead > 3:
            logits = logits.clone()
            logits[1] = torch.nan
        return logits

    opened.runner.change = spoil
    answers = await answered(opened, requests, overlaps=True)
    failed = [isinstance(check_shape(events), Failed) for events in answers]
    assert sorted(failed) == [False, True]  # either may have come first
    good = failed.index(False)
    assert told(answers[good]) == plain[good]


async def test_no_memory_for_a_step_ahead_costs_nothing_but_the_step(opened: OpenEngine) -> None:
    requests = [request("sampled"), request("penalised")]
    plain = [told(events) for events in await answered(opened, requests, overlaps=False)]
    launch, settles, calls, looks = opened.parts.sampler.launch, opened.parts.sampler.draws_at_once, [], []

    def full(chunks: Sequence[ScheduledChunk]) -> None:
        if opened.runner.ahead and opened.runner.ahead % 7 == 0:
            opened.runner.ahead += 1
            raise torch.OutOfMemoryError("CUDA out of memory")

    def sometimes(*arguments: Any) -> Any:
        calls.append(arguments)
        if len(calls) % 5 == 0:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return launch(*arguments)

    def now_and_then(*arguments: Any) -> Any:
        looks.append(arguments)
        if len(looks) % 4 == 0:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return settles(*arguments)

    opened.runner.before = full
    opened.parts.sampler.draws_at_once = now_and_then  # type: ignore[method-assign, assignment]
    opened.parts.sampler.launch = sometimes  # type: ignore[method-assign, assignment]
    assert [told(events) for events in await answered(opened, requests, overlaps=True)] == plain
    assert len(calls) > 10


async def test_drafts_go_first_where_there_are_any(opened: OpenEngine) -> None:
    asked = ask("Say again: abcabcabcabcabcabcabc", sampling=SamplingParams(temperature=0.0, max_tokens=60))
    (plain,) = await answered(opened, [asked], overlaps=False)
    opened.parts.drafts = DraftBudget()
    opened.parts.drafts.measured(1e9, answers=1, tokens=1)  # whatever a draft costs here, it pays
    (ahead,) = await answered(opened, [asked], overlaps=True)
    assert told(ahead) == told(plain)


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.tuples(st.sampled_from(sorted(WAYS)), st.integers(1, 30)), min_size=1, max_size=9))
async def test_any_company(opened: OpenEngine, company: list[tuple[str, int]]) -> None:
    requests = [request(way, f"{n}", max_tokens=limit, min_tokens=0) for n, (way, limit) in enumerate(company)]
    plain = [told(events)[0] for events in await answered(opened, requests, overlaps=False)]
    assert [told(events)[0] for events in await answered(opened, requests, overlaps=True)] == plain
