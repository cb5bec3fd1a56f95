"""The numbers of a model that decide its memory, from its config.json and the headers of its weights."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import BaseModel, PositiveInt, ValidationError

from qwen_app.errors import ModelFilesError
from qwen_app.models.folder import read_json, weight_files


@dataclass(frozen=True, slots=True)
class ModelDims:
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


class _DecoderConfig(BaseModel):
    """What config.json must say of a decoder, in transformers' words."""

    model_type: str = ""
    num_hidden_layers: PositiveInt
    hidden_size: PositiveInt
    intermediate_size: PositiveInt
    num_attention_heads: PositiveInt
    num_key_value_heads: int | None = None
    head_dim: int | None = None
    vocab_size: PositiveInt
    max_position_embeddings: PositiveInt
    tie_word_embeddings: bool | None = None


def dims_from_config(config: Mapping[str, object]) -> ModelDims:
    """Dimensions of a Llama- or Qwen2-like model, its parameters counted from them. Raises ModelFilesError."""
    try:
        text = _DecoderConfig.model_validate(config.get("text_config", config))
    except ValidationError as unfit:
        wrong = ", ".join(f"{'.'.join(map(str, detail['loc']))}: {detail['msg']}" for detail in unfit.errors())
        raise ModelFilesError(f"config.json does not describe a decoder this app can plan for ({wrong}).") from unfit
    layers, hidden, heads = text.num_hidden_layers, text.hidden_size, text.num_attention_heads
    kv_heads, head_dim = text.num_key_value_heads or heads, text.head_dim or hidden // heads
    attention = 2 * hidden * heads * head_dim + 2 * hidden * kv_heads * head_dim
    biases = (heads + 2 * kv_heads) * head_dim if text.model_type == "qwen2" else 0
    return ModelDims(
        layers=layers,
        hidden=hidden,
        intermediate=text.intermediate_size,
        heads=heads,
        kv_heads=kv_heads,
        head_dim=head_dim,
        vocabulary=text.vocab_size,
        context_tokens=text.max_position_embeddings,
        linear_parameters=layers * (attention + 3 * hidden * text.intermediate_size),
        other_parameters=(1 if text.tie_word_embeddings else 2) * text.vocab_size * hidden
        + layers * (2 * hidden + biases)
        + hidden,
    )


def dims_from_folder(folder: Path) -> ModelDims:
    """Dimensions of the model in ``folder``, its parameters counted in the weights. Raises ModelFilesError."""
    dims = dims_from_config(read_json(folder / "config.json"))
    linear = other = 0
    for path in weight_files(folder):
        for name, dimensions in _tensor_shapes(path):
            if len(dimensions) == 2 and "embed" not in name and "lm_head" not in name:
                linear += math.prod(dimensions)
            else:
                other += math.prod(dimensions)
    return replace(dims, linear_parameters=linear, other_parameters=other)


def dims_of(path: Path) -> ModelDims:
    """Dimensions of a model's folder or .gguf file. Raises ModelFilesError."""
    if path.suffix != ".gguf":
        return dims_from_folder(path)
    if not path.is_file():
        raise ModelFilesError(f"There is no file {path}.")
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(path.parent, gguf_file=path.name, local_files_only=True)
    return dims_from_config(config.to_dict())


def stored_bytes(folder: Path) -> int:
    """Bytes of the weights as they lie in ``folder``."""
    return sum(path.stat().st_size for path in weight_files(folder))


def _tensor_shapes(path: Path) -> list[tuple[str, list[int]]]:
    with path.open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    return [(name, entry["shape"]) for name, entry in header.items() if name != "__metadata__"]
