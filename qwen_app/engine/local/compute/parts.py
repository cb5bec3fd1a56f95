"""The parts that run a model on its device, made and fitted together in one place."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain

import torch
from transformers import PreTrainedModel

from qwen_app.engine.local.attention.batch import refuse_partial_attention
from qwen_app.engine.local.attention.kv_cache import KVCache, KVShape
from qwen_app.engine.local.compute.drafts import DraftBudget
from qwen_app.engine.local.compute.kv_offload import HostKVCache
from qwen_app.engine.local.compute.model_runner import Runner
from qwen_app.engine.local.compute.numerics import keep_precision
from qwen_app.engine.local.compute.prefill_budget import PrefillBudget
from qwen_app.engine.local.compute.prefix_cache import PrefixCache
from qwen_app.engine.local.compute.start_up import planned_room, ready_runner, ready_step, run_here
from qwen_app.engine.local.sampling.sampler import Sampler
from qwen_app.models.dims import refuse_changing_positions
from qwen_app.switches import Switches


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
    drafts: DraftBudget
    switches: Switches
    overlaps: bool = False  # a decode step is launched before the tokens of the one before are read
    impairment: str = ""  # what of this device's means does not work here, and makes answers slower


def build_compute_parts(
    model: PreTrainedModel,
    device: torch.device,
    *,
    slots: int,
    context_tokens: int,
    chunk_tokens: int = 0,
    text_vocab_size: int,
    offload_bytes: int | None,
    without: Iterable[str] = (),
) -> ComputeParts:
    """The parts for ``model``, whose ids go in on ``device``. Changes how it attends, and how torch computes.

    A step reads ``chunk_tokens`` of prompts at most (0: what is usual on ``device``).
    ``offload_bytes`` of host memory at most hold conversations that had to leave their slot (None: see HostKVCache).
    Raises ModelFilesError for a model whose answers would be wrong here, DoesNotFit where there is no memory for it.
    """
    switches = Switches.without(without)
    keep_precision()
    refuse_partial_attention(model.config, context_tokens)
    refuse_changing_positions(model.config.get_text_config().to_dict(), context_tokens)
    with run_here(model):
        shape, devices = KVShape.of(model.config, model.dtype), _layer_devices(model)
    with planned_room(slots, context_tokens):
        step = ready_step(model, context_tokens, device, switches)
        cache = KVCache(shape, slots=slots, length=context_tokens, devices=devices, overlap=switches.overlap)
        runner, impairment = ready_runner(model, step, cache, device, switches)
    return ComputeParts(
        runner=runner,
        sampler=Sampler(text_vocab_size=text_vocab_size, context_tokens=context_tokens, slots=slots, device=device),
        kv_cache=cache,
        prefix_cache=PrefixCache(slots, reuses=switches.prefix_cache),
        host_cache=HostKVCache(cache, limit_bytes=offload_bytes if switches.kv_offload else 0),
        prefill_budget=PrefillBudget.on(device.type, chunk_tokens),
        drafts=DraftBudget(enabled=switches.drafts),
        switches=switches,
        overlaps=switches.overlap and runner.replays,  # a step that is not captured may itself wait for the device
        impairment=impairment,
    )


def _layer_devices(model: PreTrainedModel) -> list[torch.device]:
    """The device of every layer, which may differ when a model is spread over cards. Packed weights are buffers, beside
    which a layer whose norms have none has no parameter."""
    return [next(chain(layer.parameters(), layer.buffers())).device for layer in model.get_decoder().layers]
