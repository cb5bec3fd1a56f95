"""Batch: the packed tokens of one step, and the function our engine gives to transformers for them.

All tokens of a step travel as one packed row. A :class:`Batch` says which slot and position each belongs to; the
attention function stores their keys and values in the cache and lets each see its own slot up to itself. The batch
carries the cache's attention with it, so nothing outside an engine holds on to its cache.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch
from transformers import AttentionInterface, PreTrainedConfig, PreTrainedModel

from qwen_app.engine.local.attention.kv_cache import KVCache
from qwen_app.errors import ModelFilesError

NAME = "qwen_slots"  # unknown to transformers' mask registry, so models build no mask
USEFUL_WINDOW_TOKENS = 1024  # a conversation held to less is of no use
WINDOW = (
    "This model attends within a sliding window, and answers to longer conversations would be wrong here. Choose "
    "--context {window} at most, or let another server run it (--engine remote)."
)


@dataclass(frozen=True, slots=True)
class QuerySpan:
    """Consecutive new tokens of one slot, whose queries are computed: positions ``start`` to ``start + length``."""

    slot: int
    start: int
    length: int

    @property
    def end(self) -> int:
        return self.start + self.length


@dataclass(slots=True)
class Batch:
    """One packed forward pass: ``slot_mapping`` int64 ``[tokens]`` is each token's cell in the cache.

    ``plan`` is what ``attention.plan`` made of it, and means something to that attention alone.
    """

    spans: Sequence[QuerySpan]
    slot_mapping: torch.Tensor
    attention: Attention
    plan: object = None
    _copies: dict[torch.device, Batch] = field(default_factory=dict)
    _attended: set[int] = field(default_factory=set)

    @classmethod
    def planned(cls, spans: Sequence[QuerySpan], slot_mapping: torch.Tensor, attention: Attention) -> Batch:
        batch = cls(spans, slot_mapping, attention)
        batch.plan = attention.plan(batch)
        return batch

    def on(self, device: torch.device) -> Batch:
        """The same batch for a layer on another device; layers of one model may lie on several."""
        if self.slot_mapping.device == device:
            return self
        if device not in self._copies:
            self._copies[device] = Batch.planned(self.spans, self.slot_mapping.to(device), self.attention)
        return self._copies[device]

    def attend_once(self, layer: int) -> None:
        """Raises ModelFilesError for a layer that attends twice in a step: its first keys and values would be lost."""
        if layer in self._attended:
            raise _refusal("attends more than once in a layer")
        self._attended.add(layer)


class Attention(Protocol):
    """``plan`` runs once a step, ``attend`` once a layer, over ``cache``. Query is ``[heads, tokens, head_dim]``; so is
    the result, with tokens first."""

    cache: KVCache

    def plan(self, batch: Batch) -> object: ...

    def attend(self, query: torch.Tensor, layer: int, batch: Batch, scaling: float) -> torch.Tensor: ...


class _AttentionLayer(Protocol):
    """transformers' attention module; every model numbers its layers."""

    layer_idx: int


def refuse_partial_attention(config: PreTrainedConfig, context_tokens: int) -> None:
    """Raises ModelFilesError for layers that, within ``context_tokens``, see anything but all of the conversation."""
    window = getattr(config, "sliding_window", None)
    kinds = set(getattr(config, "layer_types", None) or ({"sliding_attention"} if window is not None else ()))
    if "sliding_attention" in kinds and window is not None and window >= context_tokens:
        kinds.discard("sliding_attention")  # its window never slides here
    strange = sorted(kinds - {"full_attention"})
    softcap = getattr(config, "attn_logit_softcapping", None)
    if strange == ["sliding_attention"] and softcap is None and (window or 0) >= USEFUL_WINDOW_TOKENS:
        raise ModelFilesError(WINDOW.format(window=window))
    if strange:
        raise _refusal(f"has layers of {' and '.join(strange)}")


def use_slots(model: PreTrainedModel) -> None:
    """Make ``model`` attend over slots. Its forward then takes the keyword argument ``batch``."""
    AttentionInterface.register(NAME, _attend)
    model.set_attn_implementation(NAME)


def _refusal(what: str) -> ModelFilesError:
    return ModelFilesError(
        f"This model {what}, and its answers would be wrong here. Choose another model, or let another server run it "
        "(--engine remote)."
    )


def _attend(
    module: _AttentionLayer,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    scaling: float,
    batch: Batch,
    sliding_window: int | None = None,
    softcap: float | None = None,
    s_aux: torch.Tensor | None = None,
    **_: object,
) -> tuple[torch.Tensor, None]:
    """Called by transformers in every layer; query, key and value are ``[1, heads, tokens, head_dim]``."""
    attention = batch.attention
    if sliding_window is not None and sliding_window < attention.cache.length:
        raise _refusal(f"attends within a sliding window of {sliding_window} tokens")
    if softcap is not None or s_aux is not None:
        raise _refusal("caps its attention scores, or has attention sinks")
    batch.attend_once(module.layer_idx)
    batch = batch.on(key.device)
    attention.cache.store(module.layer_idx, batch.slot_mapping, key[0].transpose(0, 1), value[0].transpose(0, 1))
    return attention.attend(query[0], module.layer_idx, batch, scaling)[None], None
