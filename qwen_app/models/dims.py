"""The numbers of a model that decide its memory, from its config.json and the headers of its weights."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from qwen_app.errors import ModelFilesError
from qwen_app.models.folder import read_json, weight_files


@dataclass(frozen=True, slots=True)
class Shape:
    """A decoder's dimensions. ``linear_parameters`` are those that 8-bit and 4-bit loading shrinks; the embedding, the
    output head, norms and biases (``other_parameters``) stay as they are."""

    layers: int
    hidden: int
    intermediate: int
    heads: int
    kv_heads: int
    head_dim: int
    vocabulary: int
    context_tokens: int
    linear_parameters: int
    other_parameters: int

    @property
    def parameters(self) -> int:
        return self.linear_parameters + self.other_parameters

    def kv_bytes_per_token(self, number_bytes: int) -> int:
        """Keys and values of one token in all layers, at ``number_bytes`` a number."""
        return 2 * self.layers * self.kv_heads * self.head_dim * number_bytes


def shape_from_config(config: Mapping[str, Any]) -> Shape:
    """Shape of a Llama- or Qwen2-like model, its parameters counted from the dimensions. Raises ModelFilesError."""
    text = config.get("text_config", config)
    try:
        layers, hidden, heads = (int(text[key]) for key in ("num_hidden_layers", "hidden_size", "num_attention_heads"))
        kv_heads = int(text.get("num_key_value_heads") or heads)
        head_dim = int(text.get("head_dim") or hidden // heads)
        intermediate, vocabulary = int(text["intermediate_size"]), int(text["vocab_size"])
        context_tokens = int(text["max_position_embeddings"])
    except (KeyError, TypeError, ValueError) as missing:
        raise ModelFilesError(
            f"config.json does not describe a decoder this app can plan for ({missing})."
        ) from missing
    attention = 2 * hidden * heads * head_dim + 2 * hidden * kv_heads * head_dim
    biases = (heads + 2 * kv_heads) * head_dim if text.get("model_type") == "qwen2" else 0
    tables = vocabulary * hidden * (1 if text.get("tie_word_embeddings", False) else 2)
    return Shape(
        layers=layers,
        hidden=hidden,
        intermediate=intermediate,
        heads=heads,
        kv_heads=kv_heads,
        head_dim=head_dim,
        vocabulary=vocabulary,
        context_tokens=context_tokens,
        linear_parameters=layers * (attention + 3 * hidden * intermediate),
        other_parameters=tables + layers * (2 * hidden + biases) + hidden,
    )


def shape_from_folder(folder: Path) -> Shape:
    """Shape of the model in ``folder``, its parameters counted in the weights themselves. Raises ModelFilesError."""
    shape = shape_from_config(read_json(folder / "config.json"))
    linear = other = 0
    for path in weight_files(folder):
        for name, dimensions in _tensor_shapes(path):
            if len(dimensions) == 2 and "embed" not in name and "lm_head" not in name:
                linear += math.prod(dimensions)
            else:
                other += math.prod(dimensions)
    return replace(shape, linear_parameters=linear, other_parameters=other)


def shape_of(path: Path) -> Shape:
    """Shape of a model's folder or .gguf file. Raises ModelFilesError."""
    if path.suffix != ".gguf":
        return shape_from_folder(path)
    if not path.is_file():
        raise ModelFilesError(f"There is no file {path}.")
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(path.parent, gguf_file=path.name, local_files_only=True)
    return shape_from_config(config.to_dict())


def quantisation_of(path: Path) -> str:
    """How the checkpoint in folder ``path`` comes quantised, such as awq or gptq; empty when it does not."""
    if path.suffix == ".gguf":
        return ""  # unpacked while it is loaded
    config = read_json(path / "config.json").get("quantization_config") or {}
    return str(config.get("quant_method", "")).lower()


def stored_bytes(folder: Path) -> int:
    """Bytes of the weights as they lie in ``folder``."""
    return sum(path.stat().st_size for path in weight_files(folder))


def _tensor_shapes(path: Path) -> list[tuple[str, list[int]]]:
    with path.open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    return [(name, entry["shape"]) for name, entry in header.items() if name != "__metadata__"]
