"""A model without weights, filled tensor by tensor: layers in 4 bits, the head in 8, all else in the model's dtype."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import torch
from torch import nn
from transformers import AutoModelForCausalLM, PretrainedConfig, PreTrainedModel

from qwen_app.errors import ModelFilesError
from qwen_app.linear.cast_embedding import CastEmbedding
from qwen_app.linear.int4_linear import Int4Linear
from qwen_app.linear.int4_weight import Int4Weight, fits_int4, quantised
from qwen_app.linear.int8_linear import Int8Embedding, Int8Linear, Int8Weight

HEAD = "lm_head"
NAMES_TOLD = 3
GROUP = 32  # weights that share a scale where a float checkpoint is rounded at load; of 64, NF4 would err less

Weight = Int4Weight | Int8Weight | torch.Tensor
Found = TypeVar("Found", bound=Weight)


class WeightSource(Protocol):
    """The tensors of a checkpoint by transformers' names."""

    def matrix(self, module: str) -> Weight | None:
        """The weight of this linear layer or embedding; None where there is none, as of a head that is tied."""
        ...

    def tensor(self, name: str) -> torch.Tensor | None:
        """Anything else in one piece: norms and biases."""
        ...


@dataclass(frozen=True, slots=True)
class WeightPlacement:
    """Where a model goes, and the dtype of what is not quantised there: activations, norms, keys and values."""

    device: torch.device
    dtype: torch.dtype


@torch.inference_mode()
def build_quantised(config: PretrainedConfig, source: WeightSource, placement: WeightPlacement) -> PreTrainedModel:
    """The model that ``config`` describes with the weights of ``source``.

    Raises ModelFilesError where one lacks, or has another shape than ``config`` tells: kernels would read beyond it.
    """
    with torch.device("meta"):
        model: PreTrainedModel = AutoModelForCausalLM.from_config(config, dtype=placement.dtype)
    head = "model.embed_tokens" if config.tie_word_embeddings else HEAD
    filled = [(name, _filled(name, module, source, placement, head)) for name, module in _leaves(model)]
    for name, module in filled:
        parent, _, child = name.rpartition(".")
        setattr(model.get_submodule(parent), child, module)
    return model


def shrink_layers(model: PreTrainedModel, placement: WeightPlacement) -> None:
    """Round the layers of a loaded ``model`` in place, and move it: for architectures with names of their own."""
    head = model.get_output_embeddings()
    for name, module in list(model.named_modules()):
        if type(module) is nn.Linear:
            weight = Int8Weight.of(module.weight) if module is head else module.weight.detach()
            parent, _, child = name.rpartition(".")
            setattr(model.get_submodule(parent), child, linear_of(weight, module.bias, placement))
    nn.Module.to(model, placement.device)


def weights_lacking(names: Sequence[str]) -> ModelFilesError:
    """What to raise where the files have none of these weights, of which there is one at least."""
    named = ", ".join(names[:NAMES_TOLD])
    lacking = named if len(names) == 1 else f"{len(names)} of its weights, such as {named}"
    return ModelFilesError(f"its files lack {lacking}. Fetch the model again.")


def misshapen_weight(name: str, found: Iterable[int], wanted: Iterable[int]) -> ModelFilesError:
    """What to raise where the files have a weight of another shape than config.json tells."""
    return ModelFilesError(
        f"{name} has the shape {list(found)}, and config.json wants {list(wanted)}. Fetch the model again."
    )


def linear_of(weight: Weight, bias: torch.Tensor | None, placement: WeightPlacement) -> nn.Module:
    """The layer for ``weight``, a float one rounded to 4 bits where the kernels take its size."""
    device = placement.device
    if bias is not None:
        bias = bias.detach().to(device, placement.dtype)
    if isinstance(weight, torch.Tensor):
        if not fits_int4(weight.shape[0], weight.shape[1], GROUP, on_a_card=device.type == "cuda"):
            return _plain(weight, bias, placement)
        weight = quantised(weight.to(device), GROUP)
    if isinstance(weight, Int4Weight):
        if not fits_int4(weight.codes.shape[0], weight.codes.shape[1], weight.group, on_a_card=device.type == "cuda"):
            return _plain(weight.dequantised(), bias, placement)
        return Int4Linear.of(weight, bias, device)
    return Int8Linear(Int8Weight(weight.codes.to(device), weight.scales.to(device)), bias)


def _plain(weight: torch.Tensor, bias: torch.Tensor | None, placement: WeightPlacement) -> nn.Linear:
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None, device="meta")
    layer.weight = nn.Parameter(weight.to(placement.device, placement.dtype), requires_grad=False)
    if bias is not None:
        layer.bias = nn.Parameter(bias, requires_grad=False)
    return layer


def _leaves(model: PreTrainedModel) -> list[tuple[str, nn.Module]]:
    """Modules that hold tensors of their own."""
    held = [
        (name, module)
        for name, module in model.named_modules()
        if next(module.parameters(recurse=False), None) is not None
        or next(module.buffers(recurse=False), None) is not None
    ]
    return sorted(held, key=lambda item: item[0])


def _filled(name: str, module: nn.Module, source: WeightSource, placement: WeightPlacement, head: str) -> nn.Module:
    """``module`` with its weights; ``head`` names the matrix that serves where the output head has none of its own."""
    if isinstance(module, nn.Linear):
        return _linear(name, module, source, placement, head)
    if isinstance(module, nn.Embedding):
        return _embedding(_fitting(f"{name}.weight", source.matrix(name), *module.weight.shape), placement)
    if next(module.parameters(recurse=False), None) is None:  # rotary positions: computed, in no checkpoint
        return type(module)(config=module.config).to(placement.device)
    for part, empty in list(module.named_parameters(recurse=False)):
        tensor = _fitting(f"{name}.{part}", source.tensor(f"{name}.{part}"), *empty.shape)
        setattr(module, part, nn.Parameter(tensor.to(placement.device, placement.dtype), requires_grad=False))
    return module


def _linear(name: str, module: nn.Linear, source: WeightSource, placement: WeightPlacement, head: str) -> nn.Module:
    found = source.matrix(name)
    if found is None and name == HEAD:
        found = source.matrix(head)
    weight: Weight = _fitting(f"{name}.weight", found, *module.weight.shape)
    if name == HEAD and isinstance(weight, torch.Tensor):
        weight = Int8Weight.of(weight.to(placement.device))
    bias = source.tensor(f"{name}.bias")
    if bias is not None or module.bias is not None:  # a file may have more of them than its config.json tells
        bias = _fitting(f"{name}.bias", bias, module.out_features)
    return linear_of(weight, bias, placement)


def _embedding(weight: Weight, placement: WeightPlacement) -> nn.Module:
    device, dtype = placement.device, placement.dtype
    if isinstance(weight, torch.Tensor):
        return CastEmbedding(weight.to(device, torch.bfloat16), dtype)
    if isinstance(weight, Int4Weight):
        weight = Int8Weight.of(weight.dequantised())
    return Int8Embedding(Int8Weight(weight.codes.to(device), weight.scales.to(device)), dtype)


def _fitting(name: str, found: Found | None, *expected: int) -> Found:
    """What was ``found`` in the checkpoint, if it is of the ``expected`` shape."""
    if found is None:
        raise weights_lacking([name])
    if _shape(found) != expected:
        raise misshapen_weight(name, _shape(found), expected)
    return found


def _shape(weight: Weight) -> tuple[int, ...]:
    if isinstance(weight, Int8Weight):
        blocks, rows, columns = weight.codes.shape
        return rows, blocks * columns
    return tuple(weight.codes.shape if isinstance(weight, Int4Weight) else weight.shape)
