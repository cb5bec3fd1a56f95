"""Steps compared once, before the engine is ready: captured ones with the same run kernel by kernel, and those of a
model that runs in transformers' forward with what it computes by its own attention."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain, pairwise

import torch
from transformers import PreTrainedModel

from qwen_app.engine.local.attention.batch import QuerySpan, use_slots
from qwen_app.engine.local.attention.kv_cache import KVCache
from qwen_app.engine.local.compute.cuda_graphs import DecodeGraphs
from qwen_app.engine.local.compute.model_runner import ModelRunner, ScheduledChunk
from qwen_app.engine.local.compute.recovery import Failure, failure_of, free_memory
from qwen_app.kernels.comparison import relative_error
from qwen_app.kernels.failure import short_reason

# Of ||difference|| / ||reference|| of a row's logits. Kernels may add up in another order; a wrong step is off by more.
TOLERANCE = {torch.float16: 2e-2, torch.bfloat16: 1e-1, torch.float32: 1e-3}
ROW_POSITIONS = (0, 699, 4999)
TRIED_TOKENS, TRIED_ROWS = 40, 3
OWN_ERRORS, MOST_ERROR = 3.0, 0.5
PACKED = (torch.int8, torch.uint8, torch.int32)  # what holds weights of 8 bits and fewer


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
        problem = f"Captured steps could not be checked ({short_reason(failed)})."
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
        error = float(relative_error(got, want, -1).max())
        if not error <= TOLERANCE.get(cache.shape.dtype, 0.0):
            return f"The captured step of {step.batch_size} rows is wrong (relative error {error:.1e})."
    return ""


def _decoding(slot: int, max_keys: int) -> ScheduledChunk:
    position = min(ROW_POSITIONS[slot % len(ROW_POSITIONS)], max_keys - 1)
    return ScheduledChunk(QuerySpan(slot, position, 1), [slot + 1], wants_logits=True)


@torch.inference_mode()
def check_architecture(model: PreTrainedModel, runner: ModelRunner, cache: KVCache) -> None:
    """Run some tokens through ``runner`` in two chunks and then one by one; slot 0 is empty afterwards.

    Raises ValueError where ``model`` makes something else of them than by its own attention, and whatever it raises
    itself where it cannot run over slots.
    """
    token_ids = _any_tokens(model, min(TRIED_TOKENS, cache.length))
    pieces = _pieces_of(token_ids)
    chunks = list(chain(*pieces.values()))
    rows = [row for chunk in chunks for row in range(chunk.span.end)[-chunk.rows :]]
    whole = _by_its_own_attention(model, "eager", [(token_ids, rows)])  # which every model has
    in_pieces = _by_its_own_attention(model, "sdpa", [(chunk.token_ids, range(-chunk.rows, 0)) for chunk in chunks])
    # Large where experts are chosen by little: what a model differs from itself is no fault of the slots.
    own_error = float(relative_error(in_pieces, whole, -1).nan_to_num(0.0, posinf=0.0).max())
    tolerance = max(_tolerance(model, cache.shape.dtype), min(OWN_ERRORS * own_error, MOST_ERROR))
    for name, piece in pieces.items():
        got = torch.cat([runner.forward_uncaptured([chunk]).float() for chunk in piece])
        want, whole = whole[: len(got)].to(got), whole[len(got) :]
        told = want.isfinite().all(-1)  # where its own attention gives NaN, nothing is
        errors = relative_error(got, want, -1)[told]
        error = float(errors.median()) if len(errors) else 0.0
        if not error <= tolerance:
            raise ValueError(f"wrong in {name}, by a relative error of {error:.1e}")
    cache.clear(0)


def _any_tokens(model: PreTrainedModel, count: int) -> list[int]:
    """Of the middle of the vocabulary: what controls a model stands at either end."""
    size = int(model.config.get_text_config().vocab_size)
    numbers = torch.Generator().manual_seed(0)
    return [int(token_id) for token_id in torch.randint(size // 4, size // 2, (count,), generator=numbers)]


def _pieces_of(token_ids: Sequence[int]) -> dict[str, list[ScheduledChunk]]:
    """Two chunks, then single tokens; logits are wanted of the last few of each."""
    single = len(token_ids) - TRIED_ROWS
    ends = [single // 2, *range(single, len(token_ids) + 1)]
    chunks = [
        ScheduledChunk(
            QuerySpan(0, start, end - start),
            token_ids[start:end],
            wants_logits=True,
            drafted=min(TRIED_ROWS, end - start) - 1,
        )
        for start, end in pairwise([0, *ends])
    ]
    return {"a first chunk": chunks[:1], "a second chunk": chunks[1:2], "single tokens": chunks[2:]}


def _by_its_own_attention(
    model: PreTrainedModel, attention: str, pieces: Iterable[tuple[Sequence[int], Sequence[int]]]
) -> torch.Tensor:
    """The logits of some rows of each piece of one text. ``model`` attends over slots again afterwards."""
    model.set_attn_implementation(attention if attention == "eager" or model._supports_sdpa else "eager")
    logits, past = [], None
    try:
        for token_ids, rows in pieces:
            ids = torch.tensor([list(token_ids)], device=model.device)
            output = model(input_ids=ids, past_key_values=past, use_cache=True, logits_to_keep=torch.tensor(rows))
            past = output.past_key_values
            logits.append(output.logits[0].float())
    finally:
        use_slots(model)
    return torch.cat(logits)


def _tolerance(model: PreTrainedModel, dtype: torch.dtype) -> float:
    """Layers of few bits may round what they are given to 8, as many as bfloat16 has: small differences grow there."""
    tensors = chain(model.parameters(), model.buffers())
    coarse = any(tensor.dtype in PACKED for tensor in tensors)
    return TOLERANCE.get(torch.bfloat16 if coarse else dtype, 0.0)
