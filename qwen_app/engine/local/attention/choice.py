"""Which attention serves: flash attention where it works on this card and is right, else plain attention; with our own
kernel for decoding rows, likewise, on a card and on a CPU.

Every case that a step can be is compared: decoding rows alone (the only one that CUDA graphs replay), a piece of a
prompt, and both at once; short and long enough for many tiles and split keys.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

import torch

from qwen_app.engine.local.attention.batch import Attention, Batch, QuerySpan
from qwen_app.engine.local.attention.cpu_decode import CpuDecodeAttention
from qwen_app.engine.local.attention.flash import FlashAttention, OwnDecodeAttention
from qwen_app.engine.local.attention.kv_cache import KVCache
from qwen_app.engine.local.attention.sdpa import SdpaAttention
from qwen_app.kernels.comparison import relative_error
from qwen_app.kernels.cuda.decode_attention import serves
from qwen_app.kernels.failure import short_reason

log = logging.getLogger(__name__)

# Of ||difference|| / ||reference||. A right kernel's rounding is a tenth of it: FP16 keeps 11 bits, BF16 8.
TOLERANCE = {torch.float16: 3e-3, torch.bfloat16: 2e-2, torch.float32: 1e-4}
ROW_KEYS = (1, 700, 5000)
FEW_TOKENS, CHUNK_TOKENS = 3, 200
TRIED_SLOTS, TRIED_LENGTH = 3, 1024  # on a CPU


def choose_attention(
    cache: KVCache, query_heads: int, *, flash: bool = True, own_decode: bool = True
) -> tuple[Attention, str]:
    """Flash attention on CUDA where it agrees with plain attention, else plain attention; and what is wrong with flash.

    Nothing is wrong on a CPU, where plain attention is the right one for prompts.
    """
    plain = SdpaAttention(cache, query_heads)
    if own_decode and all(keys.is_cpu and keys.dtype == torch.float32 for keys in cache.keys):
        return on_a_cpu(cache, plain, query_heads), ""
    if not flash or not cache.keys[0].is_cuda:
        return plain, ""
    return quickest_right(cache, plain, query_heads, own_decode=own_decode)


def quickest_right(cache: KVCache, plain: Attention, query_heads: int, *, own_decode: bool) -> tuple[Attention, str]:
    """``choose_attention`` on a card."""
    shape = cache.shape
    if own_decode and serves(shape.dtype, query_heads, shape.heads, shape.head_dim):
        own = OwnDecodeAttention(cache)
        problem = problem_of(own, plain, query_heads)
        if not problem:
            return own, ""
        log.warning("Our own attention of decode steps %s: they are a little slower than they could be.", problem)
    quick = FlashAttention(cache)
    problem = problem_of(quick, plain, query_heads)
    if not problem:
        return quick, ""
    problem = f"Flash attention {problem}: plain attention serves, and answers are slower than they could be."
    log.error(problem)
    return plain, problem


def on_a_cpu(cache: KVCache, plain: SdpaAttention, query_heads: int) -> Attention:
    """``choose_attention`` there. Tried over a cache of one layer: to fill a real one with numbers takes long."""
    shape = replace(cache.shape, layers=1)
    tried = KVCache(shape, slots=TRIED_SLOTS, length=min(cache.length, TRIED_LENGTH), devices=[torch.device("cpu")])
    problem = problem_of(CpuDecodeAttention(tried, query_heads), SdpaAttention(tried, query_heads), query_heads)
    if not problem:
        return CpuDecodeAttention(cache, query_heads)
    log.warning("Our own attention of decode steps %s: answers are slower than they could be.", problem)
    return plain


def problem_of(tried: Attention, plain: Attention, query_heads: int) -> str:
    """What is wrong with ``tried`` here, to go on with its name; empty where nothing is. Empties the cache."""
    try:
        for name, spans in cases(tried.cache).items():
            worst = _worst_error(tried, plain, spans, query_heads)
            if not worst <= TOLERANCE.get(tried.cache.shape.dtype, 0.0):
                return f"is wrong for {name} (relative error {worst:.1e})"
    except Exception as unusable:  # any card, driver or dtype the kernel was not built for
        return f"does not work here ({short_reason(unusable)})"
    return ""


def cases(cache: KVCache) -> dict[str, list[QuerySpan]]:
    """The steps to compare, within ``cache``: what it is too small for is cut to fit."""
    ends = [min(keys, cache.length) for keys in ROW_KEYS]
    rows = [QuerySpan(slot, end - 1, 1) for slot, end in zip(range(cache.slots), reversed(ends), strict=False)]
    length = min(CHUNK_TOKENS, cache.length)
    chunk = QuerySpan(cache.slots - 1, min(cache.length - length, 1000), length)
    found = {f"a row of {end} keys": [QuerySpan(0, end - 1, 1)] for end in ends}
    few = min(FEW_TOKENS, ends[1])
    found["a few tokens"] = [QuerySpan(0, ends[1] - few, few)]
    found["rows"] = rows
    found["a chunk"] = [chunk]
    if cache.slots > 1:
        found["rows beside a chunk"] = [*rows[: cache.slots - 1], chunk]
    return found


@torch.inference_mode()
def _worst_error(tried: Attention, plain: Attention, spans: Sequence[QuerySpan], query_heads: int) -> float:
    """The largest relative error of any token, over random keys and values, on one layer of every device."""
    cache = tried.cache
    tokens = sum(span.length for span in spans)
    errors = []
    for layer in {tensor.device: number for number, tensor in enumerate(cache.keys)}.values():
        keys, values = cache.keys[layer], cache.values[layer]
        keys.normal_()
        values.normal_()
        query = torch.randn(query_heads, tokens, cache.shape.head_dim, device=keys.device, dtype=keys.dtype)
        nowhere = torch.zeros(tokens, dtype=torch.int64, device=keys.device)
        got, want = (
            attention.attend(query, layer, Batch.planned(spans, nowhere, attention), cache.shape.head_dim**-0.5).float()
            for attention in (tried, plain)
        )
        errors.append(float(relative_error(got, want, (1, 2)).max()))
        keys.zero_()
        values.zero_()
    return max(errors, key=lambda error: (error != error, error))  # NaN is the worst
