"""What a CPU can stand in for of a CUDA card: the flash kernel, and graphs that are replayed by running again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
import torch
from transformers import AutoModelForCausalLM, PreTrainedModel, Qwen2Config

from qwen_app.engine.local.attention.batch import use_slots
from qwen_app.engine.local.attention.flash import FlashAttention
from qwen_app.engine.local.attention.kv_cache import KVCache, KVShape
from qwen_app.engine.local.compute.cuda_graphs import DecodeGraphs, Replayable, Step
from qwen_app.engine.local.compute.model_runner import ModelRunner
from qwen_app.kernels.cuda.decode_attention import Workspace

CPU = torch.device("cpu")


@dataclass(frozen=True, slots=True)
class FlashKernelCall:
    """What the kernel was told that decides how it works."""

    rows: int
    max_seqlen_q: int
    max_seqlen_k: int
    causal: bool
    window: tuple[int, int]


@contextmanager
def flash_kernel_on_cpu() -> Iterator[list[FlashKernelCall]]:
    """Registers a CPU kernel for flash attention's operator, with its meaning on CUDA, and notes its calls."""
    calls: list[FlashKernelCall] = []

    def kernel(
        query: torch.Tensor,
        keys: torch.Tensor,
        values: torch.Tensor,
        cu_seqlens_q: torch.Tensor,
        cu_seqlens_k: torch.Tensor,
        max_q: int,
        max_k: int,
        dropout: float,
        is_causal: bool,
        debug_mask: bool,
        *,
        scale: float,
        window_size_left: int,
        window_size_right: int,
        seqused_k: torch.Tensor,
        **_: object,
    ) -> tuple[torch.Tensor, ...]:
        assert {tensor.dtype for tensor in (cu_seqlens_q, cu_seqlens_k, seqused_k)} == {torch.int32}
        assert (dropout, debug_mask, window_size_left) == (0.0, False, -1)
        calls.append(FlashKernelCall(len(seqused_k), max_q, max_k, is_causal, (window_size_left, window_size_right)))
        out = torch.empty_like(query)
        for span, (first, end) in enumerate(pairwise(cu_seqlens_q.tolist())):
            start, used = int(cu_seqlens_k[span]), int(seqused_k[span])
            assert end - first <= max_q
            assert used <= max_k
            bounded = is_causal or window_size_right == 0
            seen = slice(start, start + used)
            out[first:end] = _attended(query[first:end], keys[seen], values[seen], scale, bounded=bounded)
        return out, out, out, out, out

    library = torch.library.Library("aten", "IMPL")
    library.impl("_flash_attention_forward", kernel, "CPU")
    try:
        yield calls
    finally:
        library._destroy()


@contextmanager
def own_kernel_on_cpu() -> Iterator[list[int]]:
    """In the place of our own kernel for decoding rows: the same in torch. Notes of how many rows each call was."""
    calls: list[int] = []

    def kernel(
        query: torch.Tensor,
        keys: torch.Tensor,
        values: torch.Tensor,
        first_cells: torch.Tensor,
        used: torch.Tensor,
        scaling: float,
        workspace: object,
    ) -> torch.Tensor:
        assert first_cells.dtype == used.dtype == torch.int32
        calls.append(len(query))
        rows = []
        for row, (first, count) in enumerate(zip(first_cells.tolist(), used.tolist(), strict=False)):
            seen = slice(first, first + count)
            rows.append(_attended(query[row : row + 1], keys[seen], values[seen], scaling, bounded=False))
        return torch.cat(rows)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("qwen_app.engine.local.attention.flash.decode_attention", kernel)
        patch.setattr(Workspace, "on", lambda *sizes: None)
        yield calls


def _attended(
    query: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, scale: float, *, bounded: bool
) -> torch.Tensor:
    """``[tokens, heads, head_dim]``; the last query stands at the last key."""
    share = query.shape[1] // keys.shape[1]
    keys, values = (tensor.repeat_interleave(share, 1).float() for tensor in (keys, values))
    scores = torch.einsum("qhd,khd->hqk", query.float(), keys) * scale
    if bounded:
        rows = torch.arange(len(query))[:, None] + len(keys) - len(query)
        scores = scores.masked_fill(torch.arange(len(keys)) > rows, -torch.inf)
    return torch.einsum("hqk,khd->qhd", scores.softmax(-1), values).to(query.dtype)


@dataclass(slots=True)
class RunAgain:
    """A captured step that is computed anew into the same tensor: what a replay does, seen from outside."""

    step: Step
    logits: torch.Tensor
    replays: int = 0

    def replay(self) -> None:
        self.replays += 1
        self.logits.copy_(self.step())


@dataclass(slots=True)
class RecorderOnCpu:
    """Captures with :class:`RunAgain`; raises what ``refusals`` hold first."""

    refusals: list[Exception] = field(default_factory=list)
    captured: list[RunAgain] = field(default_factory=list)

    def __call__(self, step: Step) -> tuple[Replayable, torch.Tensor]:
        if self.refusals:
            raise self.refusals.pop(0)
        self.captured.append(RunAgain(step, step()))
        return self.captured[-1], self.captured[-1].logits


def small_qwen(layers: int = 2) -> PreTrainedModel:
    """Random weights in Qwen2's shape, attending over slots."""
    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=320,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=1024,
    )
    model: PreTrainedModel = AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
    use_slots(model)
    return model


def cache_for(model: PreTrainedModel, *, slots: int, length: int) -> KVCache:
    devices = [CPU] * model.config.num_hidden_layers
    return KVCache(KVShape.of(model.config, model.dtype), slots=slots, length=length, devices=devices)


def graph_runner(
    model: PreTrainedModel,
    *,
    slots: int,
    length: int,
    record: RecorderOnCpu | None = None,
) -> tuple[ModelRunner, DecodeGraphs]:
    """A runner as on a card: flash attention and graphs, nothing captured yet."""
    attention = FlashAttention(cache_for(model, slots=slots, length=length))
    graphs = DecodeGraphs(model, attention, CPU, record or RecorderOnCpu())
    return ModelRunner(model, attention, CPU, graphs), graphs
