"""Conversations without a slot: kept within bounds, and put back only where that is sooner than computing."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from qwen_app.engine.local.attention.kv_cache import KVCache, KVShape
from qwen_app.engine.local.compute.kv_offload import SMALLEST_TOKENS, HostKVCache
from qwen_app.engine.local.compute.prefill_budget import PrefillBudget
from tests.engine.contract import ask, collect, text_of
from tests.engine.local.tiny import OpenEngine, load_talkative, reused

SHAPE = KVShape(layers=1, heads=1, head_dim=2, dtype=torch.float32)
LONG = SMALLEST_TOKENS + 100
SLOW_S = 1.0  # a token computed this slowly is always worth restoring


@pytest.fixture
def cache() -> KVCache:
    return KVCache(SHAPE, slots=2, length=1000, devices=[torch.device("cpu")])


def ids(name: int, length: int = LONG) -> np.ndarray:
    return np.arange(length, dtype=np.int32) + 10_000 * name


def host_cache(cache: KVCache, conversations: float = 10) -> HostKVCache:
    return HostKVCache(cache, limit_bytes=int(conversations * LONG * SHAPE.token_bytes))


def fill(cache: KVCache, slot: int, value: float) -> None:
    cache.keys[0][slot * 1000 : (slot + 1) * 1000] = value


def test_an_offloaded_conversation_comes_back(cache: KVCache) -> None:
    host = host_cache(cache)
    fill(cache, 0, 7.0)
    host.offload(0, ids(1))
    fill(cache, 0, 0.0)
    prompt = [*ids(1).tolist(), 5, 6]
    assert host.restore(1, prompt, num_cached_tokens=0, compute_s_per_token=SLOW_S) == LONG
    assert (cache.keys[0][1000 : 1000 + LONG] == 7.0).all()
    assert not cache.keys[0][1000 + LONG :].any()


def test_the_last_token_is_left_to_compute(cache: KVCache) -> None:
    host = host_cache(cache)
    host.offload(0, ids(1))
    assert host.restore(1, ids(1).tolist(), num_cached_tokens=0, compute_s_per_token=SLOW_S) == LONG - 1


def test_bytes_are_bounded_and_the_longest_unused_leaves_first(cache: KVCache) -> None:
    host = host_cache(cache, conversations=2)
    host.offload(0, ids(1))
    host.offload(0, ids(2))
    host.restore(1, [*ids(1).tolist(), 5], num_cached_tokens=0, compute_s_per_token=SLOW_S)
    host.offload(0, ids(3))
    assert host.size_bytes == 2 * LONG * SHAPE.token_bytes
    assert host.restore(1, [*ids(2).tolist(), 5], num_cached_tokens=0, compute_s_per_token=SLOW_S) == 0
    assert host.restore(1, [*ids(1).tolist(), 5], num_cached_tokens=0, compute_s_per_token=SLOW_S) == LONG


@pytest.mark.parametrize("length", [SMALLEST_TOKENS - 1, 999])
def test_what_is_not_worth_it_or_does_not_fit_is_not_kept(cache: KVCache, length: int) -> None:
    host = host_cache(cache, conversations=1)
    host.offload(0, ids(1, length))
    assert host.size_bytes == 0


def test_without_room_nothing_is_kept(cache: KVCache) -> None:
    host = HostKVCache(cache, limit_bytes=0)
    host.offload(0, ids(1))
    assert host.size_bytes == 0


def test_a_longer_turn_takes_the_place_of_the_shorter(cache: KVCache) -> None:
    host = host_cache(cache)
    host.offload(0, ids(1))
    host.offload(0, ids(1, LONG + 50))
    host.offload(0, ids(1, LONG))
    assert host.size_bytes == (LONG + 50) * SHAPE.token_bytes


def test_restoring_must_beat_computing(cache: KVCache) -> None:
    host = host_cache(cache)
    host.offload(0, ids(1))
    prompt = [*ids(1).tolist(), 5]
    assert host.restore(1, prompt, num_cached_tokens=0, compute_s_per_token=0.0) == 0
    cached = LONG - SMALLEST_TOKENS + 1
    assert host.restore(1, prompt, num_cached_tokens=cached, compute_s_per_token=SLOW_S) == cached


def test_what_is_about_to_be_restored_does_not_leave_for_what_is_offloaded(cache: KVCache) -> None:
    host = host_cache(cache, conversations=2)
    host.offload(0, ids(1))
    host.offload(0, ids(2))
    prompt = [*ids(1).tolist(), 5]
    host.reserve(prompt)
    host.offload(0, ids(3))
    assert host.restore(1, prompt, num_cached_tokens=0, compute_s_per_token=SLOW_S) == LONG


@pytest.fixture(scope="module")
def opened(tiny_qwen_dir: Path) -> Iterator[OpenEngine]:
    engine = OpenEngine(load_talkative(tiny_qwen_dir), slots=2, offload_bytes=6 * 400 * 2 * 2 * 2 * 16 * 4)
    yield engine
    asyncio.run(engine.engine.drain(0.0))


@pytest.mark.anyio
async def test_more_conversations_than_slots_go_on_where_they_were(
    opened: OpenEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PrefillBudget, "prefill_s_per_token", SLOW_S)
    prompts = [f"Conversation {n}: " + "and so on " * 30 for n in range(5)]
    first = [text_of(await collect(opened.engine, ask(messages=(), prompt=prompt))) for prompt in prompts]
    offloaded = sum(len(prompt) + 8 - 1 for prompt in prompts[:3])  # the last token drawn was never computed
    assert opened.parts.host_cache.size_bytes == offloaded * opened.parts.kv_cache.shape.token_bytes
    assert opened.parts.host_cache.size_bytes <= 6 * 400 * 2 * 2 * 2 * 16 * 4
    again = [await collect(opened.engine, ask(messages=(), prompt=prompt)) for prompt in prompts[:3]]
    assert [text_of(events) for events in again] == first[:3]
    assert [reused(events) for events in again] == [len(prompt) - 1 for prompt in prompts[:3]]


def test_a_conversation_comes_back_to_its_owner_alone(cache: KVCache) -> None:
    host = host_cache(cache)
    prompt = [*ids(1).tolist(), 5]
    host.offload(0, ids(1), "alice")
    assert host.restore(1, prompt, "mallory", num_cached_tokens=0, compute_s_per_token=SLOW_S) == 0
    host.offload(0, ids(1, LONG + 50), "mallory")  # takes the place of none of alice's
    assert host.restore(1, prompt, "alice", num_cached_tokens=0, compute_s_per_token=SLOW_S) == LONG
    host.offload(0, ids(1), "mallory")
    host.offload(0, ids(1), "bob")  # what others have does not stand in for what he has
    assert host.restore(1, prompt, "bob", num_cached_tokens=0, compute_s_per_token=SLOW_S) == LONG
