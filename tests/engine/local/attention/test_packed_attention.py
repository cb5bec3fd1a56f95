"""Packed attention over slots is plain attention, token by token."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import takewhile

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from qwen_app.engine.local.attention.batch import Attention, Batch, QuerySpan
from qwen_app.engine.local.attention.flash import FlashAttention, OwnDecodeAttention
from qwen_app.engine.local.attention.kv_cache import KVCache, KVShape
from qwen_app.engine.local.attention.sdpa import SdpaAttention, SdpaPlan
from tests.engine.local.cuda_without_card import flash_kernel_on_cpu, own_kernel_on_cpu
from tests.examples import examples

CPU = torch.device("cpu")
HEADS, KV_HEADS, WIDTH, SLOTS, LENGTH = 6, 2, 8, 4, 48


def filled_cache() -> KVCache:
    cache = KVCache(KVShape(1, KV_HEADS, WIDTH, torch.float32), slots=SLOTS, length=LENGTH, devices=[CPU])
    numbers = torch.Generator().manual_seed(1)
    for tensor in (*cache.keys, *cache.values):
        tensor.copy_(torch.randn(tensor.shape, generator=numbers))
    return cache


def batch_of(spans: Sequence[QuerySpan], attention: Attention) -> Batch:
    cells = [attention.cache.cell(span.slot, at) for span in spans for at in range(span.start, span.end)]
    return Batch.planned(spans, torch.tensor(cells), attention)


def attended(
    cache: KVCache, spans: Sequence[QuerySpan], query: torch.Tensor, attention: Attention | None = None
) -> torch.Tensor:
    attention = attention or SdpaAttention(cache, HEADS)
    return attention.attend(query, 0, batch_of(spans, attention), 1 / math.sqrt(WIDTH))


def plainly(cache: KVCache, spans: Sequence[QuerySpan], query: torch.Tensor) -> torch.Tensor:
    """One token and head after the other."""
    rows = []
    places = [(span.slot, at) for span in spans for at in range(span.start, span.end)]
    for token, (slot, at) in enumerate(places):
        seen = slice(cache.cell(slot, 0), cache.cell(slot, at) + 1)
        heads = []
        for head in range(HEADS):
            shared = head // (HEADS // KV_HEADS)
            keys, values = cache.keys[0][seen, shared], cache.values[0][seen, shared]
            weights = torch.softmax(keys @ query[head, token] / math.sqrt(WIDTH), 0)
            heads.append(weights @ values)
        rows.append(torch.stack(heads))
    return torch.stack(rows)


def random_query(spans: Sequence[QuerySpan], seed: int) -> torch.Tensor:
    tokens = sum(span.length for span in spans)
    return torch.randn(HEADS, tokens, WIDTH, generator=torch.Generator().manual_seed(seed))


@st.composite
def steps(draw: st.DrawFn) -> list[QuerySpan]:
    """Decoding rows first, then pieces of prompts, each slot at most once."""
    slots = draw(st.permutations(range(SLOTS)))[: draw(st.integers(1, SLOTS))]
    decoding = draw(st.integers(0, len(slots)))
    spans = [QuerySpan(slot, draw(st.integers(0, LENGTH - 1)), 1) for slot in slots[:decoding]]
    for slot in slots[decoding:]:
        length = draw(st.integers(1, 12))
        spans.append(QuerySpan(slot, draw(st.integers(0, LENGTH - length)), length))
    return spans


@settings(max_examples=examples(120))
@given(spans=steps(), seed=st.integers(0, 100))
def test_any_step_is_plain_attention(spans: list[QuerySpan], seed: int) -> None:
    cache = filled_cache()
    query = random_query(spans, seed)
    torch.testing.assert_close(attended(cache, spans, query), plainly(cache, spans, query), atol=1e-5, rtol=1e-4)


@settings(max_examples=examples(30))
@given(spans=steps(), seed=st.integers(0, 100))
def test_flash_attention_tells_its_kernel_where_queries_and_keys_lie(spans: list[QuerySpan], seed: int) -> None:
    cache = filled_cache()
    query = random_query(spans, seed)
    with flash_kernel_on_cpu():
        result = attended(cache, spans, query, FlashAttention(cache))
    torch.testing.assert_close(result, plainly(cache, spans, query), atol=1e-5, rtol=1e-4)


@settings(max_examples=examples(30))
@given(spans=steps(), seed=st.integers(0, 100))
def test_our_own_kernel_is_told_where_keys_of_decoding_rows_lie(spans: list[QuerySpan], seed: int) -> None:
    cache = filled_cache()
    query = random_query(spans, seed)
    with flash_kernel_on_cpu() as pieces, own_kernel_on_cpu() as rows:
        result = attended(cache, spans, query, OwnDecodeAttention(cache))
    torch.testing.assert_close(result, plainly(cache, spans, query), atol=1e-5, rtol=1e-4)
    assert all(call.max_seqlen_q > 1 for call in pieces)
    assert sum(rows) == len(list(takewhile(lambda span: span.length == 1, spans)))


@pytest.mark.parametrize("count", [2, 3, 4])
def test_rows_of_far_apart_lengths_are_not_mixed_up(count: int) -> None:
    cache = filled_cache()
    spans = [QuerySpan(slot, (slot * 17) % LENGTH, 1) for slot in reversed(range(count))]
    query = torch.randn(HEADS, count, WIDTH, generator=torch.Generator().manual_seed(3))
    torch.testing.assert_close(attended(cache, spans, query), plainly(cache, spans, query), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("end", [17, 24])
def test_no_layer_has_to_copy_a_chunks_mask(end: int) -> None:
    """As a card's kernel that saves memory does with rows that begin at no whole multiple of eight numbers."""
    plan = batch_of([QuerySpan(0, 5, end - 5)], SdpaAttention(filled_cache(), HEADS)).plan
    assert isinstance(plan, SdpaPlan)
    mask = plan.groups[0].mask
    assert mask is not None
    assert mask.shape[-1] == end
    assert [stride % 8 for stride in mask.stride()[:-1]] == [0] * (mask.dim() - 1)
    assert mask.stride(-1) == 1


def test_layers_on_other_devices_get_the_batch_there() -> None:
    batch = batch_of([QuerySpan(1, 3, 1)], SdpaAttention(filled_cache(), HEADS))
    assert batch.on(CPU) is batch
    elsewhere = batch.on(torch.device("meta"))
    assert elsewhere.slot_mapping.device.type == "meta"
    assert batch.on(torch.device("meta")) is elsewhere
