"""Decoder: the forward pass of the Llama family over one packed step, with as few kernels as it takes.

Llama, Mistral, Qwen2 and Qwen3 (dense) are one network: RMS norms, rotary positions, query heads that share KV heads, a
gated MLP. transformers runs it in some forty kernels a layer; here the projections that read the same input are one
product, and what lies between products is a kernel each (see ``kernels``), fused on a card. On a CPU, where all weights
have 4 or 8 bits, a step of decoding rows is one call.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Protocol, cast

import torch
from torch import nn
from transformers import PreTrainedConfig, PreTrainedModel

from qwen_app.engine.local.attention.batch import Batch, use_slots
from qwen_app.engine.local.attention.cpu_decode import CpuDecodePlan
from qwen_app.engine.local.attention.kv_cache import KVCache, KVShape
from qwen_app.engine.local.compute.kernel_choice import choose_kernels
from qwen_app.kernels.cpu.layers import MOST_PARTS, CppLayers, LayerTensors
from qwen_app.kernels.cpu.step import CppKernels
from qwen_app.kernels.cpu.weights import PackedWeights
from qwen_app.kernels.step_kernels import Heads, StepKernels
from qwen_app.linear.cpp_linear import CppLinear
from qwen_app.linear.few_rows import use_few_rows
from qwen_app.linear.join import SideBySide, joined
from qwen_app.switches import Switches

FAMILY = frozenset({"llama", "mistral", "qwen2", "qwen3"})
FIXED_ROTATIONS = frozenset({"default", "linear", "llama3", "yarn"})  # others depend on how long the text is


Angles = tuple[torch.Tensor, torch.Tensor]  # cosines and sines of a step's tokens
_Through = tuple[torch.Tensor, torch.Tensor, StepKernels]  # hidden, what is yet to be added to it, kernels there


@dataclass(frozen=True, slots=True)
class DecoderOutput:
    """As transformers gives it: ``logits`` ``[1, rows, vocab]``."""

    logits: torch.Tensor


class Rotation:
    """Rotary positions: cosines and sines ``[positions, 1, head_dim]``, looked up once a step for all layers.

    The sines of the first half are negated, so that turning is ``x * cos + roll(x) * sin``.
    """

    def __init__(self, rotary: nn.Module, positions: int, device: torch.device, dtype: torch.dtype) -> None:
        every = torch.arange(positions, device=device)[None]
        cos, sin = rotary(torch.empty(0, dtype=torch.float32, device=device), every)
        half = sin.shape[-1] // 2
        # Where several cards share a model, its rotary module may give them on a card of its own.
        self._cos = cos[0, :, None].to(device, dtype)
        self._sin = torch.cat((-sin[0, :, None, :half], sin[0, :, None, half:]), -1).to(device, dtype)

    def at(self, positions: torch.Tensor) -> Angles:
        return self._cos[positions], self._sin[positions]


class _Weighted(Protocol):
    weight: torch.Tensor


class _AttentionModules(Protocol):
    """transformers' names; also ``q_proj``, ``k_proj`` and ``v_proj``, and Qwen3's ``q_norm`` and ``k_norm``."""

    layer_idx: int
    scaling: float
    o_proj: nn.Module


class _MLPModules(Protocol):
    down_proj: nn.Module


class _LayerModules(Protocol):
    input_layernorm: _Weighted
    self_attn: _AttentionModules
    post_attention_layernorm: _Weighted
    mlp: _MLPModules


class _Body(Protocol):
    """A model without its head."""

    layers: Sequence[_LayerModules]
    norm: _Weighted
    rotary_emb: nn.Module


@dataclass(frozen=True, slots=True)
class _OnDevice:
    """What all layers on one device share."""

    kernels: StepKernels
    rotation: Rotation


class DecoderLayer:
    """One layer, made of the modules of transformers' layer; its projections are joined."""

    def __init__(self, layer: _LayerModules, config: PreTrainedConfig, shape: KVShape) -> None:
        own = layer.self_attn
        self._index = int(own.layer_idx)
        self._eps = float(config.rms_norm_eps)
        self.scaling = float(own.scaling)
        self.attention_norm = layer.input_layernorm.weight
        self.qkv = joined(cast("nn.Module", own), ("q_proj", "k_proj", "v_proj"))
        self.heads = _heads_of(own, config, shape)
        self.output = own.o_proj
        self.mlp_norm = layer.post_attention_layernorm.weight
        self.gate_up = joined(cast("nn.Module", layer.mlp), ("gate_proj", "up_proj"))
        self.down = layer.mlp.down_proj
        self.device = self.mlp_norm.device
        self.linear = nn.ModuleList([self.qkv, self.output, self.gate_up, self.down])

    def __call__(
        self, hidden: torch.Tensor, added: torch.Tensor | None, here: _OnDevice, rotation: Angles, batch: Batch
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """``hidden``, and what is yet to be added to it: the layer's output before, then this one's."""
        kernels = here.kernels
        if added is None:
            normed = kernels.rms_norm(hidden, self.attention_norm, self._eps)
        else:
            hidden, normed = kernels.add_rms_norm(hidden, added, self.attention_norm, self._eps)
        cache = batch.attention.cache
        of_layer = cache.keys[self._index], cache.values[self._index]
        query = kernels.rotate_and_store(self.qkv(normed), self.heads, rotation, batch.slot_mapping, of_layer)
        attended = batch.attention.attend(query.transpose(0, 1), self._index, batch, self.scaling)
        added = self.output(attended.reshape(hidden.shape[0], -1))
        hidden, normed = kernels.add_rms_norm(hidden, added, self.mlp_norm, self._eps)
        return hidden, self.down(kernels.gate(self.gate_up(normed)))

    def tensors(self, cache: KVCache) -> LayerTensors | None:
        """What the layers in C++ take; None where a projection is not a product of theirs."""
        projections = [_parts_of(layer) for layer in self.linear]
        if not all(projections):
            return None
        cells = cache.keys[self._index], cache.values[self._index]
        return LayerTensors(self.attention_norm, self.mlp_norm, *cells, *projections)


def _free_separate_weights(device: torch.device) -> None:
    """Give back where projections lay before they were joined, or the next layer's would leave holes there."""
    if device.type == "cuda":
        torch.cuda.empty_cache()


def _parts_of(projection: nn.Module) -> list[PackedWeights]:
    """What the layers in C++ multiply by; nothing where it is of another kind."""
    layers = list(projection.layers) if isinstance(projection, SideBySide) else [projection]
    weights = [layer.weights for layer in layers if isinstance(layer, CppLinear)]
    return weights if len(weights) == len(layers) <= MOST_PARTS else []


def _heads_of(own: _AttentionModules, config: PreTrainedConfig, shape: KVShape) -> Heads:
    """How the joined projection is cut. Qwen3 also norms each query and key head."""
    count = int(config.num_attention_heads)
    query: _Weighted | None = getattr(own, "q_norm", None)
    key: _Weighted | None = getattr(own, "k_norm", None)
    norms = None
    if query is not None and key is not None:
        norms = torch.cat((query.weight.expand(count, -1), key.weight.expand(shape.heads, -1))).detach()
    return Heads(count, shape.heads, shape.head_dim, norms, float(config.rms_norm_eps))


class Decoder:
    """Called as transformers' model is, and gives what it gives: ids in, logits out, keys and values in the cache."""

    def __init__(self, model: PreTrainedModel, context_tokens: int, switches: Switches = Switches()) -> None:  # noqa: B008
        body: _Body = cast("_Body", model.get_decoder())
        self._embedding = model.get_input_embeddings()
        shape = KVShape.of(model.config, model.dtype)
        self._layers: list[DecoderLayer] = []
        for layer in body.layers:
            self._layers.append(DecoderLayer(layer, model.config, shape))
            _free_separate_weights(self._layers[-1].device)
        self._norm = body.norm.weight
        self._eps = float(model.config.rms_norm_eps)
        self._head = model.get_output_embeddings()
        self._head_device = next(chain(self._head.parameters(), self._head.buffers())).device
        if switches.few_rows:
            use_few_rows(nn.ModuleList([*(layer.linear for layer in self._layers), self._head, self._embedding]))
        self._cpp: tuple[KVCache, CppLayers | None] | None = None
        self._devices: dict[torch.device, _OnDevice] = {}
        self.problem = ""  # what makes answers slower than they could be
        for device, heads in {layer.device: layer.heads for layer in self._layers}.items():
            kernels, problem = choose_kernels(
                device, model.dtype, model.config.hidden_size, heads, fused=switches.fused_kernels
            )
            rotation = Rotation(body.rotary_emb.to(device), context_tokens, device, model.dtype)
            self._devices[device] = _OnDevice(kernels, rotation)
            self.problem = self.problem or problem

    def __call__(
        self,
        *,
        input_ids: torch.Tensor,
        position_ids: torch.Tensor,
        batch: Batch,
        logits_to_keep: torch.Tensor | None = None,
        use_cache: bool = False,
    ) -> DecoderOutput:
        """``input_ids`` and ``position_ids`` are int64 ``[1, tokens]``; ``logits_to_keep`` are the rows to give."""
        hidden: torch.Tensor = self._embedding(input_ids[0])
        if in_cpp := self._layers_in_cpp(batch):
            hidden, added, kernels = self._in_one_call(in_cpp, hidden, position_ids[0], batch)
        else:
            hidden, added, kernels = self._layer_by_layer(hidden, position_ids[0], batch)
        if logits_to_keep is not None:
            kept = logits_to_keep.to(hidden.device)
            hidden, added = hidden[kept], added[kept]
        _, normed = kernels.add_rms_norm(hidden, added, self._norm.to(hidden.device), self._eps)
        return DecoderOutput(self._head(normed.to(self._head_device))[None])

    def _layer_by_layer(self, hidden: torch.Tensor, positions: torch.Tensor, batch: Batch) -> _Through:
        added: torch.Tensor | None = None
        device = None
        for layer in self._layers:
            if layer.device != device:
                device, here = layer.device, self._devices[layer.device]
                hidden, added = hidden.to(device), added.to(device) if added is not None else None
                rotation, batch = here.rotation.at(positions.to(device)), batch.on(device)
            hidden, added = layer(hidden, added, here, rotation, batch)
        assert added is not None
        return hidden, added, here.kernels

    def _in_one_call(self, layers: CppLayers, hidden: torch.Tensor, positions: torch.Tensor, batch: Batch) -> _Through:
        plan = batch.plan
        assert isinstance(plan, CpuDecodePlan)
        here = self._devices[hidden.device]
        cells = batch.slot_mapping, plan.first_cells, plan.ends
        return *layers(hidden, here.rotation.at(positions), *cells), here.kernels

    def _layers_in_cpp(self, batch: Batch) -> CppLayers | None:
        """What computes all layers of this step in one call; None where it has more than decoding rows on a CPU."""
        if not isinstance(batch.plan, CpuDecodePlan) or batch.plan.rest.groups:
            return None
        cache = batch.attention.cache
        if self._cpp is None or self._cpp[0] is not cache:
            self._cpp = cache, self._made_in_cpp(cache)
        return self._cpp[1]

    def _made_in_cpp(self, cache: KVCache) -> CppLayers | None:
        if not all(isinstance(here.kernels, CppKernels) for here in self._devices.values()):
            return None
        tensors = [found for layer in self._layers if (found := layer.tensors(cache))]
        if len(tensors) < len(self._layers):
            return None
        heads = [layer.heads for layer in self._layers]
        return CppLayers(tensors, heads, len(self._norm), self._eps, self._layers[0].scaling)


def step_model(
    model: PreTrainedModel,
    context_tokens: int,
    switches: Switches = Switches(),  # noqa: B008 (frozen)
) -> Decoder | PreTrainedModel:
    """What computes a step: our decoder for the architectures it knows, transformers' own forward for all others."""
    if switches.own_decoder and reads(model.config, context_tokens):
        return Decoder(model, context_tokens, switches)
    use_slots(model)
    if switches.few_rows:
        use_few_rows(model)
    return model


def reads(config: PreTrainedConfig, context_tokens: int) -> bool:
    """Whether a model of this ``config`` is computed here as it should be, over so many tokens at most."""
    window = getattr(config, "sliding_window", None)
    rotation = (getattr(config, "rope_parameters", None) or {}).get("rope_type", "default")
    kinds: Sequence[str] = getattr(config, "layer_types", None) or ()
    return (
        config.model_type in FAMILY
        and getattr(config, "hidden_act", "") == "silu"
        and rotation in FIXED_ROTATIONS
        and set(kinds) <= {"full_attention"}
        and (window is None or window >= context_tokens)
    )
