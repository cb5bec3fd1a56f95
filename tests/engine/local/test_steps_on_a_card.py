"""The engine whole over flash attention and captured steps, both stood in for by a CPU: answers stay their own."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from qwen_app.engine.local.attention.flash import FlashAttention
from qwen_app.engine.local.compute.cuda_graphs import DecodeGraphs
from qwen_app.engine.local.compute.decoder import step_model
from qwen_app.engine.local.compute.model_runner import ModelRunner, ScheduledChunk
from tests.engine.contract import ask, collect, until_idle
from tests.engine.local.cuda_without_card import CPU, RecorderOnCpu, flash_kernel_on_cpu
from tests.engine.local.tiny import FaultyRunner, OpenEngine, StepGate, ids_of, load_talkative, until

COPYING_STEPS = 5
PROMPTS = ("first of three", "the second one", "and a third")


@pytest.fixture(scope="module")
def opened(tiny_qwen_dir: Path) -> Iterator[OpenEngine]:
    loaded = load_talkative(tiny_qwen_dir)
    opened = OpenEngine(loaded, slots=4, context_tokens=256)
    with flash_kernel_on_cpu():
        attention = FlashAttention(opened.parts.kv_cache)
        step = step_model(loaded.model, 256)
        graphs = DecodeGraphs(step, attention, CPU, RecorderOnCpu())
        runner = ModelRunner(step, attention, CPU, graphs)
        while runner.prepare():
            pass
        opened.parts.runner = opened.runner = FaultyRunner(runner)
        yield opened
        asyncio.run(opened.engine.drain(0.0))


async def answers(opened: OpenEngine) -> list[list[int]]:
    opened.forget()
    requests = [ask(messages=(), prompt=prompt, max_tokens=24, user=prompt) for prompt in PROMPTS]
    events = await asyncio.gather(*(collect(opened.engine, request) for request in requests))
    await until_idle(opened.engine)
    return [ids_of(of_one) for of_one in events]


@pytest.mark.anyio
async def test_after_a_failed_step_each_goes_on_with_its_own_next_token(opened: OpenEngine) -> None:
    undisturbed = await answers(opened)
    assert len({tuple(ids) for ids in undisturbed}) == len(PROMPTS)
    failed: list[int] = []

    def one_is_to_blame(chunks: Sequence[ScheduledChunk]) -> None:
        decoding = len(chunks) > 1 and all(chunk.span.length == 1 for chunk in chunks)
        if decoding and len(failed) < 5:
            failed.append(len(chunks))
            raise RuntimeError("injected: one of these requests is to blame")

    opened.runner.before = one_is_to_blame
    assert await answers(opened) == undisturbed
    assert len(PROMPTS) in failed


@pytest.mark.anyio
async def test_steps_launched_ahead_are_replayed_with_the_tokens_that_lie_on_the_device(opened: OpenEngine) -> None:
    opened.heal()
    undisturbed = await answers(opened)
    opened.parts.overlaps = True
    assert await answers(opened) == undisturbed
    opened.parts.overlaps = False
    assert opened.runner.ahead > 12  # of 24: none is ahead of a newcomer


@pytest.mark.anyio
async def test_who_is_copied_to_a_slot_waits_for_it_while_others_go_on(
    opened: OpenEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened.heal()
    undisturbed = await answers(opened)
    cache, waits, gate = opened.parts.kv_cache, Waits(), StepGate()
    monkeypatch.setattr(cache, "copying", waits.copying)
    monkeypatch.setattr(cache, "wait_for_copies", waits.note)
    steps: list[set[int]] = []

    def note(chunks: Sequence[ScheduledChunk]) -> None:
        gate(chunks)
        steps.append({chunk.span.slot for chunk in chunks})

    opened.runner.before = note
    gate.close()
    asked = asyncio.create_task(answers(opened))
    await until(lambda: opened.engine.health().running + opened.engine.health().queued == len(PROMPTS))
    gate.open()
    assert await asked == undisturbed
    arrived = next(index for index, slots in enumerate(steps) if waits.slot in slots)
    assert arrived >= COPYING_STEPS  # the others went on
    assert steps == waits.noted  # and every step comes after the copies of those in it


@pytest.mark.anyio
async def test_who_is_alone_does_not_wait_on_the_host_for_its_slot_to_be_copied(
    opened: OpenEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened.heal()
    opened.forget()
    monkeypatch.setattr(opened.parts.kv_cache, "copying", lambda slot: True)
    events = await collect(opened.engine, ask(messages=(), prompt=PROMPTS[0], max_tokens=4))
    assert len(ids_of(events)) == 4


class Waits:
    """The slot of the second to come is being copied for some steps."""

    def __init__(self) -> None:
        self.slot = -1
        self.noted: list[set[int]] = []
        self._first = -1
        self._left = COPYING_STEPS

    def copying(self, slot: int) -> bool:
        if self._first < 0:
            self._first = slot
        elif self.slot < 0 and slot != self._first:
            self.slot = slot
        return slot == self.slot and self._left > 0

    def note(self, *slots: int) -> None:
        self.noted.append(set(slots))
        self._left -= self.slot >= 0
