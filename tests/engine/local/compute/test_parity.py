"""Greedy answers are those of transformers' ``generate``, token for token, whatever goes on around them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from transformers import GenerationConfig

from qwen_app.chat.template import PromptEncoder
from qwen_app.engine.local.compute.drafts import DraftBudget
from qwen_app.engine.local.compute.kv_offload import HostKVCache
from qwen_app.engine.local.compute.model_runner import ScheduledChunk
from qwen_app.engine.local.compute.prefill_budget import PrefillBudget
from qwen_app.engine.local.scheduler import Scheduler
from qwen_app.engine.local.steps.detokenize import Detokenizer
from qwen_app.engine.local.steps.spelling import Spelling
from qwen_app.messages import Finished, Message
from qwen_app.models.loading.loaded_model import LoadedModel
from qwen_app.models.loading.loader import load
from tests.engine.contract import ask, check_shape, collect, text_of, until_idle, until_text
from tests.engine.local.tiny import OpenEngine, ids_of, load_talkative, reused

EXCUSED_LOGIT_GAP = 1e-3
ANSWER_TOKENS = 24
PROMPTS = (
    "The capital of France is",
    "Once upon a time, in a small village by the sea, there lived",
    "def fibonacci(n):\n    ",
    "1, 2, 3, 4, 5, 6,",
)


@dataclass(frozen=True)
class Pair:
    """An engine and, beside it, the same model as transformers runs it."""

    opened: OpenEngine
    reference: LoadedModel

    def ids_of_text(self, text: str) -> list[int]:
        return list(self.reference.tokenizer.backend_tokenizer.encode(text, add_special_tokens=False).ids)

    def expected(self, prompt_ids: Sequence[int], count: int) -> list[int]:
        ends = self.reference.generation_config.eos_token_id
        config = GenerationConfig(
            do_sample=False, repetition_penalty=1.0, max_new_tokens=count, eos_token_id=ends, pad_token_id=0
        )
        ids = torch.tensor([list(prompt_ids)])
        out = self.reference.model.generate(ids, attention_mask=torch.ones_like(ids), generation_config=config)
        answer: list[int] = out[0, ids.shape[1] :].tolist()
        return answer[:-1] if answer[-1] in (ends if isinstance(ends, list) else [ends]) else answer

    def check(self, prompt: str | list[int], answer: Sequence[int], count: int = ANSWER_TOKENS) -> None:
        """The answer is the reference's; a first difference is excused only where the two logits nearly tie."""
        prompt_ids = self.ids_of_text(prompt) if isinstance(prompt, str) else prompt
        expected = self.expected(prompt_ids, count)
        for place, (ours, theirs) in enumerate(zip(answer, expected, strict=False)):
            if ours != theirs:
                with torch.inference_mode():
                    logits = self.reference.model(torch.tensor([[*prompt_ids, *expected[:place]]])).logits[0, -1]
                assert float((logits[ours] - logits[theirs]).abs()) < EXCUSED_LOGIT_GAP, (place, ours, theirs)
                return
        assert len(answer) == len(expected)

    async def answer(self, prompt: str, count: int = ANSWER_TOKENS, user: str = "a") -> list[int]:
        events = await collect(self.opened.engine, ask(messages=(), prompt=prompt, max_tokens=count, user=user))
        assert isinstance(check_shape(events), Finished)
        return ids_of(events)


@pytest.fixture(scope="module", params=[pytest.param("builtin", marks=pytest.mark.slow), "tiny"])
def pair(request: pytest.FixtureRequest, builtin_dir: Path, tiny_qwen_dir: Path) -> Iterator[Pair]:
    def fresh() -> LoadedModel:
        return load(builtin_dir, precision="fp32") if request.param == "builtin" else load_talkative(tiny_qwen_dir)

    opened = OpenEngine(fresh(), slots=4)
    yield Pair(opened, fresh())
    asyncio.run(opened.engine.drain(0.0))


@pytest.fixture(scope="module")
def tiny(tiny_qwen_dir: Path) -> Iterator[Pair]:
    opened = OpenEngine(load_talkative(tiny_qwen_dir), slots=2)
    yield Pair(opened, load_talkative(tiny_qwen_dir))
    asyncio.run(opened.engine.drain(0.0))


@pytest.fixture(autouse=True)
def fresh(request: pytest.FixtureRequest) -> None:
    """Every test starts with empty slots and a sound runner."""
    for name in {"pair", "tiny"} & set(request.fixturenames):
        opened = request.getfixturevalue(name).opened
        opened.heal()
        opened.forget()


@pytest.mark.anyio
async def test_one_request(pair: Pair) -> None:
    pair.check(PROMPTS[0], await pair.answer(PROMPTS[0]))


@pytest.mark.anyio
async def test_four_at_once(pair: Pair) -> None:
    answers = await asyncio.gather(*(pair.answer(prompt, user=prompt) for prompt in PROMPTS))
    for prompt, answer in zip(PROMPTS, answers, strict=True):
        pair.check(prompt, answer)


@pytest.mark.anyio
async def test_a_chat_of_two_turns_with_what_was_kept(pair: Pair) -> None:
    engine = pair.opened.engine
    first = (Message("user", "Name three colours."),)
    events = await collect(engine, ask(messages=first, max_tokens=ANSWER_TOKENS))
    encoder = PromptEncoder(pair.reference.tokenizer)  # knows the answer by its ids, as the engine's own does
    answer = Detokenizer(Spelling(pair.reference.tokenizer.backend_tokenizer))
    for token_id in ids_of(events):
        answer.add(token_id)
    encoder.remember(text_of(events), answer.ids_of(text_of(events)))
    second = (*first, Message("assistant", text_of(events)), Message("user", "And three more."))
    events = await collect(engine, ask(messages=second, max_tokens=ANSWER_TOKENS))
    assert reused(events) > 20
    pair.check(encoder.encode(second), ids_of(events))


@pytest.mark.anyio
async def test_with_and_without_what_was_kept(tiny: Pair) -> None:
    again = [await tiny.answer(PROMPTS[1]) for _ in range(2)]
    tiny.opened.forget()
    again.append(await tiny.answer(PROMPTS[1]))
    for answer in again:
        tiny.check(PROMPTS[1], answer)


@pytest.mark.anyio
async def test_copied_from_another_users_slot(tiny: Pair) -> None:
    beginning = "You are a helpful assistant who answers at length. "
    first, second = await asyncio.gather(tiny.answer(beginning + "A", 60), tiny.answer(beginning + "B", 60, "b"))
    tiny.check(beginning + "A", first, 60)
    tiny.check(beginning + "B", second, 60)


@pytest.mark.anyio
async def test_a_neighbour_that_is_cancelled_changes_nothing(tiny: Pair) -> None:
    engine = tiny.opened.engine
    async with aclosing(engine.generate(ask(messages=(), prompt=PROMPTS[2], max_tokens=600, user="b"))) as neighbour:
        await until_text(neighbour)
        answering = asyncio.create_task(tiny.answer(PROMPTS[0], 100))
        await until_text(neighbour)
    tiny.check(PROMPTS[0], await answering, 100)
    tiny.check(PROMPTS[3], await tiny.answer(PROMPTS[3]))


@pytest.mark.anyio
async def test_tiny_chunks_beside_a_running_answer(tiny: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiny.opened.parts, "prefill_budget", PrefillBudget(min_tokens=3, max_tokens=3))
    monkeypatch.setattr(tiny.opened.parts, "drafts", DraftBudget(enabled=False))
    prompts = [PROMPTS[1] * 3, PROMPTS[0] * 5]
    answers = await asyncio.gather(*(tiny.answer(prompt, user=prompt) for prompt in prompts))
    assert max(tiny.opened.runner.computed) <= 4  # three of a prompt, one of an answer
    for prompt, answer in zip(prompts, answers, strict=True):
        tiny.check(prompt, answer)


@pytest.mark.slow
@pytest.mark.anyio
async def test_after_preemption(tiny: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    requeue, preempted = Scheduler.requeue, []

    def noted(scheduler: Scheduler, ticket_id: str) -> None:
        preempted.append(ticket_id)
        requeue(scheduler, ticket_id)

    monkeypatch.setattr(Scheduler, "requeue", noted)

    def no_memory_for_two(chunks: Sequence[ScheduledChunk]) -> None:
        if len(chunks) > 1 and sum(tiny.opened.runner.computed) > 60:
            raise torch.OutOfMemoryError("injected: out of memory")

    tiny.opened.runner.before = no_memory_for_two
    answers = await asyncio.gather(*(tiny.answer(prompt, user=prompt) for prompt in PROMPTS[:2]))
    assert preempted
    for prompt, answer in zip(PROMPTS, answers, strict=False):
        tiny.check(prompt, answer)


@pytest.mark.anyio
async def test_after_offloading_and_restoring(tiny: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    prompts = [f"{n}. " + PROMPTS[1] * 6 for n in range(4)]
    parts = tiny.opened.parts
    monkeypatch.setattr(parts, "host_cache", HostKVCache(parts.kv_cache, limit_bytes=1 << 24))
    monkeypatch.setattr(PrefillBudget, "prefill_s_per_token", 1.0)  # computing is slow: restoring is always worth it
    for prompt in prompts:
        tiny.check(prompt, await tiny.answer(prompt))
    assert parts.host_cache.size_bytes >= 2 * len(prompts[0]) * parts.kv_cache.shape.token_bytes  # a byte is a token
    monkeypatch.setattr(parts, "drafts", DraftBudget(enabled=False))
    tiny.opened.runner.computed.clear()
    tiny.check(prompts[0], await tiny.answer(prompts[0]))
    assert sum(tiny.opened.runner.computed) <= ANSWER_TOKENS + 1
    await until_idle(tiny.opened.engine)
