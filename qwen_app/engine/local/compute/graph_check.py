"""Captured steps compared with the same steps run kernel by kernel, once, before the engine is ready."""

from __future__ import annotations

import torch

from qwen_app.engine.local.attention.batch import QuerySpan
from qwen_app.engine.local.attention.kv_cache import KVCache
from qwen_app.engine.local.compute.cuda_graphs import DecodeGraphs
from qwen_app.engine.local.compute.model_runner import ModelRunner, ScheduledChunk
from qwen_app.engine.local.compute.recovery import Failure, failure_of, free_memory
from qwen_app.kernels.failure import first_line

# Of ||difference|| / ||reference|| of a row's logits. Kernels may add up in another order; a wrong step is off by ones.
TOLERANCE = {torch.float16: 2e-2, torch.bfloat16: 1e-1, torch.float32: 1e-3}
ROW_POSITIONS = (0, 699, 4999)


@torch.inference_mode()
def check_graphs(runner: ModelRunner, graphs: DecodeGraphs, cache: KVCache) -> None:
    """Replay every captured step over random keys and values; ``graphs`` are given up where one differs or fails.

    The cache is empty afterwards. Raises what ends the device.
    """
    for tensor in (*cache.keys, *cache.values):
        tensor.normal_()
    try:
        problem = _problem_of(runner, graphs, cache)
    except Exception as failed:  # memory that was there for the capture is not there for the same step beside it
        if failure_of(failed) is Failure.STICKY:
            raise
        problem = f"Captured steps could not be checked ({first_line(failed)})."
    if problem:
        graphs.give_up(problem)
        free_memory()
    for tensor in (*cache.keys, *cache.values):
        tensor.zero_()


def _problem_of(runner: ModelRunner, graphs: DecodeGraphs, cache: KVCache) -> str:
    for step in graphs.captured:
        chunks = [_decoding(slot, step.max_keys) for slot in range(min(step.batch_size, cache.slots))]
        spans, token_ids = [chunk.span for chunk in chunks], [chunk.token_ids[0] for chunk in chunks]
        got = graphs.replay(step, spans, token_ids).float().clone()
        want = runner.forward_uncaptured(chunks).float()
        error = float(((got - want).norm(dim=-1) / want.norm(dim=-1)).max())
        if not error <= TOLERANCE.get(cache.shape.dtype, 0.0):
            return f"The captured step of {step.batch_size} rows is wrong (relative error {error:.1e})."
    return ""


def _decoding(slot: int, max_keys: int) -> ScheduledChunk:
    position = min(ROW_POSITIONS[slot % len(ROW_POSITIONS)], max_keys - 1)
    return ScheduledChunk(QuerySpan(slot, position, 1), [slot + 1], wants_logits=True)
