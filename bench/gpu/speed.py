"""The engine's steps: decoding, reading and both at once, as shares of what the card's bandwidth allows."""

from __future__ import annotations

import random
from collections.abc import Sequence

from bench.gpu.models import QWEN, engine_parts, random_model, read_bytes
from bench.gpu.options import Options
from bench.gpu.probe import copy_bandwidth
from bench.gpu.rows import Rows
from bench.gpu.timing import median_ms, wait
from qwen_app.engine.local.attention.batch import QuerySpan
from qwen_app.engine.local.compute.model_runner import ModelRunner, ScheduledChunk
from qwen_app.engine.local.compute.parts import ComputeParts
from qwen_app.engine.local.sampling.sampler import SamplingRow
from qwen_app.models.loading.loaded_model import weights_bytes

SLOTS, STEPS = 8, 20
USERS, USERS_TINY = (1, 2, 4, 8), (1, 8)
CONTEXTS, CONTEXTS_TINY = (1024, 8192, 32_000), (64, 256)
SLOT_TOKENS, SLOT_TOKENS_TINY = 32_768, 320
CHUNKS, CHUNKS_TINY = (64, 128, 256, 512, 1024, 2048), (32,)
PROFILED_KERNELS = 14


def speed(rows: Rows, options: Options) -> None:
    bandwidth = copy_bandwidth(options)
    rows.add("bandwidth of a copy", bandwidth, "bytes/s")
    for precision in options.precisions:
        if not rows.may_begin(precision):
            return
        with rows.part(precision):
            _of_one_precision(rows, precision, options, bandwidth)


def _of_one_precision(rows: Rows, precision: str, options: Options, bandwidth: float) -> None:
    model = random_model(precision, options)
    rows.add(f"{precision}: weights", weights_bytes(model) / 1e9, "GB")
    weights_read = read_bytes(model)
    length = SLOT_TOKENS_TINY if options.tiny else SLOT_TOKENS
    parts = engine_parts(model, options, slots=SLOTS, context_tokens=length)
    for tensor in (*parts.kv_cache.keys, *parts.kv_cache.values):
        tensor.normal_()
    for context in CONTEXTS_TINY if options.tiny else CONTEXTS:
        for users in USERS_TINY if options.tiny else USERS:
            name = f"{precision}: decode, {users} users x {context}"
            if rows.may_begin(name):
                with rows.part(name):
                    _decode(rows, name, parts, users, context, weights_read, bandwidth)
    for chunk in CHUNKS_TINY if options.tiny else CHUNKS:
        if rows.may_begin(f"{precision}: chunks of {chunk}"):
            with rows.part(f"{precision}: chunks of {chunk}"):
                _prefill(rows, precision, parts, chunk)
    if options.on_card:
        with rows.part(f"{precision}: kernels of a step"):
            _kernels(rows, precision, parts)


def _decode(
    rows: Rows, name: str, parts: ComputeParts, users: int, context: int, weights_read: int, bandwidth: float
) -> None:
    """Steps with Qwen's own sampling, from logits to ids on the host."""
    runner = parts.runner
    assert isinstance(runner, ModelRunner)
    for slot in range(users):
        parts.sampler.begin(slot, list(range(min(context, 2000) // 2)), (), QWEN)
    settings = [SamplingRow(slot, QWEN, random.Random(slot)) for slot in range(users)]

    def loop() -> None:
        ids = [1] * users
        for step in range(STEPS):
            logits = runner.forward(decoding(ids, context + step))
            ids = [max(0, sampled.token_id) for sampled in parts.sampler.sample(logits, settings)]

    step_ms = median_ms(loop, 3) / STEPS
    more: dict[str, float] = {"step_ms": step_ms}
    chunks = decoding([1] * users, context)
    captured = runner.graphs.fitting(users, context + STEPS) if runner.graphs else None
    if captured is not None:
        more["replay_ms"] = median_ms(captured.graph.replay, 10)
    more["uncaptured_ms"] = median_ms(lambda: runner.forward_uncaptured(chunks), 3)
    limit_ms = (weights_read + users * context * parts.kv_cache.shape.token_bytes) / bandwidth * 1e3
    rows.add(name, users * 1e3 / step_ms, "tokens/s", share_of_bandwidth=limit_ms / step_ms, **more)


def decoding(ids: Sequence[int], position: int) -> list[ScheduledChunk]:
    return [ScheduledChunk(QuerySpan(slot, position, 1), [token_id], True) for slot, token_id in enumerate(ids)]


def _prefill(rows: Rows, precision: str, parts: ComputeParts, chunk: int) -> None:
    runner, middle = parts.runner, parts.kv_cache.length // 2
    for start in (0, middle):
        alone = [ScheduledChunk(QuerySpan(7, start, chunk), [3] * chunk, True)]
        ms = median_ms(lambda given=alone: runner.forward(given), 3)  # type: ignore[misc]
        rows.add(f"{precision}: a chunk of {chunk} at {start}", chunk * 1e3 / ms, "tokens/s", ms=ms)
    beside = [*decoding([1, 2, 3], middle), ScheduledChunk(QuerySpan(7, middle, chunk), [3] * chunk, False)]
    ms = median_ms(lambda: runner.forward(beside), 3)
    rows.add(f"{precision}: three answers beside a chunk of {chunk}", ms, "ms")


def _kernels(rows: Rows, precision: str, parts: ComputeParts) -> None:
    """How many kernels a step has, and which take longest."""
    from torch.profiler import ProfilerActivity, profile

    assert isinstance(parts.runner, ModelRunner)
    with profile(activities=[ProfilerActivity.CUDA]) as profiled:
        parts.runner.forward_uncaptured(decoding([1], parts.kv_cache.length // 2))
        wait()
    found = sorted(profiled.key_averages(), key=lambda event: -event.device_time_total)
    total_ms = sum(event.device_time_total for event in found) / 1e3
    kernels = sum(
        event.count for event in found if event.device_time_total
    )  # the calls that launch them are listed too
    rows.add(f"{precision}: kernels of a step", kernels, "", gpu_ms=total_ms)
    for event in found[:PROFILED_KERNELS]:
        rows.add(f"{precision}:   {event.key[:80]}", event.device_time_total / 1e3, "ms", count=event.count)
