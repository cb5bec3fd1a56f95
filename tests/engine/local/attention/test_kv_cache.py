"""Keys and values lie where they are said to lie, and are copied, read and put back whole."""

from __future__ import annotations

import psutil
import pytest
import torch
from transformers import Qwen2Config

from qwen_app.engine.local.attention.kv_cache import KVCache, KVShape

CPU = torch.device("cpu")


@pytest.fixture
def cache() -> KVCache:
    shape = KVShape(layers=2, heads=3, head_dim=4, dtype=torch.float32)
    cache = KVCache(shape, slots=3, length=10, devices=[CPU, CPU])
    for layer, tensor in enumerate((*cache.keys, *cache.values)):
        tensor.copy_(torch.arange(tensor.numel()).view(tensor.shape) + 10_000 * layer)
    return cache


def cells(cache: KVCache, slot: int, tokens: int) -> list[torch.Tensor]:
    start = cache.cell(slot, 0)
    return [tensor[start : start + tokens].clone() for tensor in (*cache.keys, *cache.values)]


def test_qwen_7b_takes_57344_bytes_a_token() -> None:
    config = Qwen2Config(
        hidden_size=3584, num_hidden_layers=28, num_attention_heads=28, num_key_value_heads=4, vocab_size=8
    )
    assert KVShape.of(config, torch.float16).token_bytes == 57_344


def test_what_no_chat_has_filled_takes_no_memory() -> None:
    process = psutil.Process()
    before = process.memory_info().rss
    shape = KVShape(layers=4, heads=4, head_dim=64, dtype=torch.bfloat16)
    cache = KVCache(shape, slots=8, length=16_384, devices=[CPU] * 4)
    assert cache.size_bytes > 2**29
    assert process.memory_info().rss - before < 2**24
    assert not cache.keys[0][:100].any()
    assert not cache.values[3][-100:].any()
    cache.values[3].fill_(1)
    assert process.memory_info().rss - before > cache.values[3].nbytes // 2


def test_size_is_what_is_allocated(cache: KVCache) -> None:
    per_token = cache.shape.token_bytes
    assert per_token == 2 * 2 * 3 * 4 * 4
    assert 3 * 10 * per_token <= cache.size_bytes <= (3 * 10 + 16) * per_token


def test_a_prefix_is_copied_and_nothing_else_changes(cache: KVCache) -> None:
    before = [cells(cache, slot, 10) for slot in range(3)]
    cache.copy_prefix(0, 2, 6)
    after = [cells(cache, slot, 10) for slot in range(3)]
    for layer in range(4):
        assert torch.equal(after[2][layer][:6], before[0][layer][:6])
        assert torch.equal(after[2][layer][6:], before[2][layer][6:])
        assert torch.equal(after[0][layer], before[0][layer])
        assert torch.equal(after[1][layer], before[1][layer])


def test_what_was_read_is_written_back(cache: KVCache) -> None:
    original = cells(cache, 1, 7)
    memory = torch.empty(7 * cache.shape.token_bytes, dtype=torch.uint8)
    cache.read(1, 7, memory)
    for tensor in (*cache.keys, *cache.values):
        tensor.zero_()
    cache.write(2, 5, memory)
    for layer, tensor in enumerate(cells(cache, 2, 10)):
        assert torch.equal(tensor[:5], original[layer][:5])
        assert not tensor[5:].any()


def test_what_was_read_is_a_copy(cache: KVCache) -> None:
    memory = torch.empty(3 * cache.shape.token_bytes, dtype=torch.uint8)
    cache.read(0, 3, memory)
    kept = memory.clone()
    cache.copy_prefix(1, 0, 3)
    assert torch.equal(memory, kept)
