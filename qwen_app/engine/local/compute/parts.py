"""The parts that run a model on its device, made and fitted together in one place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from transformers import PreTrainedModel

from qwen_app.engine.local.compute import attention
from qwen_app.engine.local.compute.cpu_linear import use_few_rows
from qwen_app.engine.local.compute.cuda_graphs import DecodeGraphs
from qwen_app.engine.local.compute.flash_attention import FlashAttention, choose_attention
from qwen_app.engine.local.compute.kv_cache import KVCache, KVShape
from qwen_app.engine.local.compute.kv_offload import HostKVCache
from qwen_app.engine.local.compute.model_runner import ModelRunner, ScheduledChunk
from qwen_app.engine.local.compute.numerics import keep_precision
from qwen_app.engine.local.compute.prefill_budget import PrefillBudget
from qwen_app.engine.local.compute.prefix_cache import PrefixCache
from qwen_app.engine.local.compute.sampler import Sampler

MAX_CHUNK_TOKENS = {"cpu": 256, "cuda": 1024}  # of a prompt, while nobody decodes


class Runner(Protocol):
    """What a step needs of a ModelRunner."""

    def prepare(self) -> bool: ...

    def forward(self, chunks: Sequence[ScheduledChunk]) -> torch.Tensor: ...


@dataclass(slots=True)
class ComputeParts:
    """What a StepExecutor works with. Whoever builds an engine may put a part of his own in the place of one of these.

    Once the engine runs, its worker's thread uses them and all others only read.
    """

    runner: Runner
    sampler: Sampler
    kv_cache: KVCache
    prefix_cache: PrefixCache
    host_cache: HostKVCache
    prefill_budget: PrefillBudget


def build_compute_parts(
    model: PreTrainedModel,
    device: torch.device,
    *,
    slots: int,
    context_tokens: int,
    text_vocab_size: int,
    offload_bytes: int,
) -> ComputeParts:
    """The parts for ``model``, whose ids go in on ``device``. Changes how it attends, and how torch computes.

    ``offload_bytes`` of host memory at most hold conversations that had to leave their slot.
    """
    keep_precision()
    shape = KVShape.of(model.config, model.dtype)
    cache = KVCache(shape, slots=slots, length=context_tokens, devices=_layer_devices(model))
    return ComputeParts(
        runner=_runner(model, cache, device),
        sampler=Sampler(text_vocab_size=text_vocab_size, context_tokens=context_tokens, slots=slots, device=device),
        kv_cache=cache,
        prefix_cache=PrefixCache(slots),
        host_cache=HostKVCache(cache, limit_bytes=offload_bytes),
        prefill_budget=PrefillBudget(max_tokens=MAX_CHUNK_TOKENS.get(device.type, 256)),
    )


def _runner(model: PreTrainedModel, cache: KVCache, device: torch.device) -> ModelRunner:
    backend = choose_attention(cache, model.config.num_attention_heads)
    attention.use(model, cache, backend)
    use_few_rows(model)
    graphs = None
    if isinstance(backend, FlashAttention) and len({tensor.device for tensor in cache.keys}) == 1:
        graphs = DecodeGraphs(model, cache, device)
    return ModelRunner(model, cache, backend, device, graphs)


def _layer_devices(model: PreTrainedModel) -> list[torch.device]:
    """The device of every layer, which may differ when a model is spread over cards."""
    return [next(layer.parameters()).device for layer in model.get_decoder().layers]
