"""What a grammar forces is not asked of the model: fewer steps, and the text that it would have been."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import pytest

from qwen_app.engine.local.compute.model_runner import ScheduledChunk
from qwen_app.engine.local.sampling.sampler import SamplingRow
from qwen_app.engine.local.steps import drawing
from qwen_app.engine.local.steps.token_masks import masks_of
from qwen_app.messages import (
    Finished,
    GenerationRequest,
    JsonSchema,
    SamplingParams,
    Tool,
    ToolCallDelta,
    ToolChoice,
)
from tests.engine.contract import ask, check_shape, collect, text_of
from tests.engine.local.tiny import OpenEngine, StepGate, ids_of, load_talkative, until

LONG_KEYS = {
    "type": "object",
    "properties": {
        "name_of_the_person": {"type": "string", "maxLength": 4},
        "years_since_birth": {"type": "integer", "minimum": 0, "maximum": 99},
        "colour_of_the_eyes": {"enum": ["brown", "green"]},
    },
    "required": ["name_of_the_person", "years_since_birth", "colour_of_the_eyes"],
    "additionalProperties": False,
}
WAYS = {
    "greedy": SamplingParams(temperature=0.0, max_tokens=200, seed=7),
    "sampled": SamplingParams(temperature=1.0, top_p=0.9, max_tokens=200, seed=11),
    "penalised": SamplingParams(temperature=1.0, presence_penalty=0.5, repetition_penalty=1.2, max_tokens=200, seed=3),
}


@pytest.fixture(scope="module")
def shared(tiny_qwen_dir: Path) -> Iterator[OpenEngine]:
    opened = OpenEngine(load_talkative(tiny_qwen_dir), slots=3, context_tokens=2048)
    yield opened
    asyncio.run(opened.engine.drain(0.0))


@pytest.fixture
def opened(shared: OpenEngine) -> OpenEngine:
    shared.heal()
    return shared


def held(way: str, **params: object) -> GenerationRequest:
    return ask(grammar=JsonSchema(LONG_KEYS), sampling=replace(WAYS[way], **params))  # type: ignore[arg-type]


@pytest.mark.anyio
async def test_rows_of_one_token_come_before_what_is_forced(opened: OpenEngine) -> None:
    lengths: list[list[int]] = []
    gate = StepGate()
    gate.close()  # until all of them are there: prose would be over before a grammar is ready

    def note(chunks: Sequence[ScheduledChunk]) -> None:
        gate(chunks)
        lengths.append([chunk.span.length for chunk in chunks])

    opened.runner.before = note
    prose = ask(sampling=SamplingParams(temperature=0.0, max_tokens=100))
    asked = [held("greedy"), prose, held("sampled")]
    answers = [
        asyncio.create_task(collect(opened.engine, replace(one, request_id=f"r{n}", user=f"u{n}")))
        for n, one in enumerate(asked)
    ]
    await until(lambda: opened.engine.health().running + opened.engine.health().queued == len(asked))
    gate.open()
    await asyncio.gather(*answers)
    mixed = [step for step in lengths if len(step) > 1 and 1 in step and max(step) > 1]
    assert mixed
    assert all(step == sorted(step, key=lambda length: length > 1) for step in mixed)


@pytest.mark.anyio
@pytest.mark.parametrize("way", WAYS)
async def test_the_text_is_the_same_in_fewer_steps(opened: OpenEngine, way: str) -> None:
    """Where log-probabilities are asked for every token is a step of its own."""
    events = await collect(opened.engine, held(way))
    steps = len(opened.runner.computed)
    opened.heal()
    one_by_one = await collect(opened.engine, held(way, logprobs=True))
    assert text_of(events) == text_of(one_by_one)
    assert ids_of(events) == ids_of(one_by_one)
    assert set(json.loads(text_of(events))) == set(LONG_KEYS["required"])
    assert steps < len(opened.runner.computed) / 3
    last = check_shape(events)
    assert isinstance(last, Finished)
    assert last.usage.completion_tokens == len(ids_of(events)) > steps * 2


@pytest.mark.anyio
@pytest.mark.parametrize("logit_bias", [(), ((72, 30.0), (101, -30.0))], ids=["", "biased"])
async def test_a_mask_is_made_only_where_the_likeliest_token_is_not_allowed(
    opened: OpenEngine, monkeypatch: pytest.MonkeyPatch, logit_bias: tuple[tuple[int, float], ...]
) -> None:
    schema = {"type": "array", "items": {"type": "string", "minLength": 9}, "minItems": 3}
    free = ask(grammar=JsonSchema(schema), sampling=replace(WAYS["greedy"], max_tokens=60, logit_bias=logit_bias))
    made = Mock(wraps=masks_of)
    monkeypatch.setattr(drawing, "masks_of", made)
    found = await collect(opened.engine, free)
    assert 0 < made.call_count < len(ids_of(found)) / 2
    monkeypatch.setattr(SamplingRow, "likeliest_alone", False)
    assert ids_of(await collect(opened.engine, free)) == ids_of(found)


@pytest.mark.anyio
@pytest.mark.parametrize("limit", range(84, 120, 5))
async def test_a_document_is_closed_in_any_room(opened: OpenEngine, limit: int) -> None:
    events = await collect(opened.engine, held("sampled", max_tokens=limit))
    last = check_shape(events)
    if isinstance(last, Finished):
        assert set(json.loads(text_of(events))) == set(LONG_KEYS["required"])
        assert last.usage.completion_tokens <= limit


@pytest.mark.anyio
async def test_calls_and_company(opened: OpenEngine) -> None:
    tool = Tool("tell_of_somebody", "", LONG_KEYS)
    forced = ask(
        tools=(tool,),
        tool_choice=ToolChoice("named", "tell_of_somebody"),
        sampling=replace(WAYS["sampled"], max_tokens=300),
    )
    alone = await collect(opened.engine, forced)
    company = [replace(forced, request_id="x"), held("greedy"), ask(max_tokens=60)]
    together, *_ = await asyncio.gather(*(collect(opened.engine, request) for request in company))
    arguments = [
        "".join(one.arguments for one in events if isinstance(one, ToolCallDelta)) for events in (alone, together)
    ]
    assert arguments[0] == arguments[1]
    assert set(json.loads(arguments[0])) == set(LONG_KEYS["required"])
