"""Guesses from what was said before cost fewer passes and change no answer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer

from qwen_app.engine.local.compute.drafts import DRAFTED_ANSWERS, DraftBudget
from qwen_app.engine.local.compute.model_runner import ScheduledChunk
from qwen_app.messages import Event, Failed, Finished, GenerationRequest, JsonSchema, SamplingParams
from tests.engine.contract import ask, check_shape, collect, text_of
from tests.engine.local.tiny import OpenEngine, ids_of, load_talkative, reused, until

SOURCE = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"  # each once: what follows is known by the last
DOUBT = 45.0  # what is added to the logit of what follows: most of the time it is drawn, not always
QUOTING = JsonSchema(
    {
        "type": "object",
        "properties": {"a": {"enum": [SOURCE]}, "b": {"type": "string", "maxLength": 12}},
        "required": ["a", "b"],
        "additionalProperties": False,
    }
)
WAYS = {
    "greedy": SamplingParams(temperature=0.0, max_tokens=60),
    "sampled": SamplingParams(temperature=0.3, top_p=0.95, max_tokens=60, seed=5),
    "cut short": SamplingParams(temperature=0.3, top_k=20, max_tokens=60, seed=6),
    "penalised": SamplingParams(temperature=0.5, presence_penalty=0.2, repetition_penalty=1.05, max_tokens=60, seed=3),
    "likely": SamplingParams(temperature=0.3, max_tokens=40, seed=9, logprobs=True, top_logprobs=2),
    "stopped": SamplingParams(temperature=0.0, max_tokens=60, stop=("VWXYZ",)),
    "at least": SamplingParams(temperature=0.0, max_tokens=40, min_tokens=30, ignore_eos=True),
}


@pytest.fixture(scope="module")
def shared(tiny_qwen_dir: Path) -> Iterator[OpenEngine]:
    opened = OpenEngine(load_talkative(tiny_qwen_dir), slots=3, context_tokens=1024)
    yield opened
    asyncio.run(opened.engine.drain(0.0))


@pytest.fixture(scope="module")
def letters(tiny_qwen_dir: Path) -> list[int]:
    ids = Tokenizer.from_file(str(tiny_qwen_dir / "tokenizer.json")).encode(SOURCE, add_special_tokens=False).ids
    assert len(ids) == len(SOURCE)
    return ids


@pytest.fixture
def opened(shared: OpenEngine, letters: list[int]) -> OpenEngine:
    """The model now says, whoever asks, what stood in the prompt: SOURCE over and over, with some doubt."""
    shared.heal()
    shared.forget()
    follows = dict(zip(letters, [*letters[1:], letters[0]], strict=True))

    def quote(logits: torch.Tensor, chunks: list[ScheduledChunk]) -> torch.Tensor:
        logits, row = logits.clone(), 0
        for chunk in chunks:
            for token_id in chunk.token_ids[len(chunk.token_ids) - chunk.rows :]:
                if token_id in follows:
                    logits[row, follows[token_id]] += DOUBT
                row += 1
        return logits

    shared.runner.change = quote  # type: ignore[assignment]
    return shared


def request(way: str, **more: object) -> GenerationRequest:
    return ask(f"Say again: {SOURCE}{SOURCE}", sampling=WAYS[way], **more)  # type: ignore[arg-type]


async def with_and_without(opened: OpenEngine, asked: GenerationRequest) -> tuple[list[Event], int, list[Event], int]:
    """The events and the number of passes, both with drafts and without."""
    answers: list[tuple[list[Event], int]] = []
    for enabled in (True, False):
        opened.parts.drafts = DraftBudget(enabled=enabled)
        opened.parts.drafts.measured(1e9, answers=1, tokens=1)  # whatever a draft costs here, it pays
        opened.forget()
        opened.runner.computed.clear()
        events = await collect(opened.engine, asked)
        answers.append((events, len(opened.runner.computed)))
    return (*answers[0], *answers[1])


@pytest.mark.anyio
@pytest.mark.parametrize("way", WAYS)
async def test_the_answer_is_the_same_in_fewer_passes(opened: OpenEngine, way: str) -> None:
    events, passes, plain, plain_passes = await with_and_without(opened, request(way))
    assert ids_of(events) == ids_of(plain)
    assert text_of(events) == text_of(plain)
    last, plain_last = check_shape(events), check_shape(plain)
    assert isinstance(last, Finished)
    assert isinstance(plain_last, Finished)
    assert (last.reason, last.usage, last.stop) == (plain_last.reason, plain_last.usage, plain_last.stop)
    assert passes < plain_passes * 0.6
    assert (last.stop is not None) == (way == "stopped")
    for one, other in zip(logprobs_of(events), logprobs_of(plain), strict=True):
        assert one == pytest.approx(other, abs=1e-3)


def logprobs_of(events: list[Event]) -> list[float]:
    return [token.logprob for event in events for token in getattr(event, "logprobs", ())]


@pytest.mark.anyio
@pytest.mark.parametrize("limit", range(20, 70, 7))
async def test_a_document_keeps_its_shape_and_its_end(opened: OpenEngine, limit: int) -> None:
    sampling = replace(WAYS["sampled"], max_tokens=limit, logprobs=True)  # so that nothing is forced
    asked = replace(request("sampled", grammar=QUOTING), sampling=sampling)
    events, passes, plain, plain_passes = await with_and_without(opened, asked)
    assert (ids_of(events), type(events[-1])) == (ids_of(plain), type(plain[-1]))
    assert passes <= plain_passes
    if isinstance(events[-1], Finished):
        assert json.loads(text_of(events))["a"] == SOURCE
        assert events[-1].usage.completion_tokens <= limit


@pytest.mark.anyio
async def test_two_at_once_each_have_their_own(opened: OpenEngine) -> None:
    alone = [await collect(opened.engine, replace(request("sampled"), request_id=f"r{n}")) for n in range(2)]
    opened.parts.drafts.measured(1e9, answers=2, tokens=2)
    opened.parts.drafts.measured(1e9, answers=1, tokens=1)
    opened.runner.computed.clear()
    company = await asyncio.gather(
        *(collect(opened.engine, replace(request("sampled"), request_id=f"s{n}", user=f"u{n}")) for n in range(2))
    )
    assert [ids_of(events) for events in company] == [ids_of(events) for events in alone]
    assert len(opened.runner.computed) < 60


@pytest.mark.anyio
async def test_a_cancelled_answer_leaves_a_cache_that_is_right(opened: OpenEngine) -> None:
    opened.parts.drafts.measured(1e9, answers=1, tokens=1)
    asked = replace(request("greedy"), sampling=SamplingParams(temperature=0.0, max_tokens=600))
    stream = opened.engine.generate(asked)
    async for event in stream:
        if len(text_of([event])):
            break
    await stream.aclose()
    await until(lambda: not opened.engine.health().running)
    again = await collect(opened.engine, request("greedy"))
    opened.forget()
    assert ids_of(again) == ids_of(await collect(opened.engine, request("greedy")))


@pytest.mark.anyio
async def test_more_than_two_get_none(opened: OpenEngine) -> None:
    longest: list[int] = []
    for rows in (1, 2, 3):
        opened.parts.drafts.measured(1e9, answers=rows, tokens=rows)
    opened.runner.before = lambda chunks: longest.append(
        max(chunk.drafted for chunk in chunks) if len(chunks) > DRAFTED_ANSWERS else 0
    )
    await asyncio.gather(
        *(collect(opened.engine, replace(request("greedy"), request_id=f"s{n}", user=f"u{n}")) for n in range(3))
    )
    assert max(longest) == 0


def spoiled(opened: OpenEngine, row: int) -> None:
    """From now on ``row`` of the first draft of so many tokens, and those behind it, are no numbers."""
    quote, done = opened.runner.change, list[int]()

    def spoil(logits: torch.Tensor, chunks: Sequence[ScheduledChunk]) -> torch.Tensor:
        logits, start = quote(logits, chunks), 0
        for chunk in chunks:
            if chunk.drafted >= max(1, row) and not done:
                done.append(chunk.span.slot)
                logits[start + row : start + chunk.rows] = torch.nan
            start += chunk.rows
        return logits

    opened.runner.change = spoil


@pytest.mark.anyio
async def test_one_that_fails_in_a_draft_fails_alone(opened: OpenEngine) -> None:
    for rows in (1, 2):
        opened.parts.drafts.measured(1e9, answers=rows, tokens=rows)
    spoiled(opened, 0)
    asked = [replace(request("greedy"), request_id=f"r{n}", user=f"u{n}") for n in range(2)]
    lasts = [check_shape(events) for events in await asyncio.gather(*(collect(opened.engine, one) for one in asked))]
    assert sorted(type(last).__name__ for last in lasts) == ["Failed", "Finished"]


@pytest.mark.anyio
async def test_what_failed_behind_a_guess_is_not_trusted_later(opened: OpenEngine) -> None:
    opened.parts.drafts.measured(1e9, answers=1, tokens=1)
    expected = ids_of(await collect(opened.engine, request("greedy")))
    opened.forget()
    spoiled(opened, 2)
    assert isinstance(check_shape(await collect(opened.engine, request("greedy"))), Failed)
    again = await collect(opened.engine, request("greedy"))
    assert reused(again) == 0
    assert ids_of(again) == expected


@pytest.mark.anyio
async def test_a_drafted_step_that_fails_is_made_again_for_who_is_sound(opened: OpenEngine) -> None:
    opened.parts.drafts.measured(1e9, answers=2, tokens=2)  # and never with one row
    harmed: list[int] = []

    def harm(chunks: Sequence[ScheduledChunk]) -> None:
        if len(chunks) == 2 and any(chunk.drafted for chunk in chunks):
            harmed.append(chunks[1].span.slot)
        if any(chunk.span.slot in harmed for chunk in chunks):
            raise RuntimeError("injected")

    opened.runner.before = harm
    asked = [replace(request("greedy"), request_id=f"r{n}", user=f"u{n}") for n in range(2)]
    lasts = [check_shape(events) for events in await asyncio.gather(*(collect(opened.engine, one) for one in asked))]
    assert sorted(type(last).__name__ for last in lasts) == ["Failed", "Finished"]


@pytest.mark.anyio
@pytest.mark.parametrize("at", range(2, 14))
async def test_memory_that_is_short_within_a_draft_changes_no_answer(
    at: int, opened: OpenEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    for rows in (1, 2):
        opened.parts.drafts.measured(1e9, answers=rows, tokens=rows)
    asked = [
        ask(f"Say again: {SOURCE}{SOURCE[:most]}", sampling=WAYS["greedy"], user=f"to {most}")
        for most in (8, 26)  # so that one is never where the other is
    ]
    sound = [ids_of(await collect(opened.engine, one)) for one in asked]
    opened.forget()
    likeliest, calls = opened.parts.sampler.likeliest, list[int]()

    def short(logits: torch.Tensor, *rest: Any) -> Any:
        calls.append(len(logits))
        if len(calls) == at:
            raise torch.OutOfMemoryError("out of memory")
        return likeliest(logits, *rest)

    monkeypatch.setattr(opened.parts.sampler, "likeliest", short)
    harmed = await asyncio.gather(*(collect(opened.engine, one) for one in asked))
    assert len(calls) > at
    assert [ids_of(events) for events in harmed] == sound
