"""The numbers of a model that decide its memory, from its config.json and the headers of its weights."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from operator import index
from pathlib import Path

from pydantic import BaseModel, PositiveInt, ValidationError

from qwen_app.errors import ModelFilesError, first_line
from qwen_app.models.adapted.long_context import (
    LongContextCost,
    longest_tokens,
    prefill_flops,
    readable_tokens,
    rope_of,
    rope_type,
)
from qwen_app.models.files.checkpoint import Checkpoint
from qwen_app.models.files.disk import need_readable
from qwen_app.models.files.json_file import MISSHAPEN, read_json
from qwen_app.models.files.weights import check_safetensors, weight_files


@dataclass(frozen=True, slots=True)
class ModelDims:
    """A decoder's dimensions. ``linear_parameters`` are those that 8-bit and 4-bit loading shrinks; the embedding, the
    output head, norms and biases (``other_parameters``) stay as they are. ``context_tokens`` is what the model reads by
    itself, ``longest_tokens`` what it reads by YaRN, the same where that is not offered. ``nf4`` tells whether
    bitsandbytes can hold its weights in 4 bits: not those of a GGUF file."""

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
    longest_tokens: int = 0
    nf4: bool = True

    @property
    def parameters(self) -> int:
        return self.linear_parameters + self.other_parameters

    def long_context_cost(self, tokens: int) -> LongContextCost:
        """What a context of ``tokens`` costs beside the model's own longest, keys and values in 16 bits."""
        width = self.heads * self.head_dim
        work, own = (prefill_flops(self.parameters, self.layers, width, n) for n in (tokens, self.context_tokens))
        return LongContextCost(tokens, work / own, tokens * self.kv_bytes_per_token(2))

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
    num_key_value_heads: PositiveInt | None = None
    head_dim: PositiveInt | None = None
    vocab_size: PositiveInt
    max_position_embeddings: PositiveInt
    tie_word_embeddings: bool | None = None


def dims_from_config(config: Mapping[str, object]) -> ModelDims:
    """Dimensions of a Llama- or Qwen2-like model, its parameters counted from them. Raises ModelFilesError."""
    nested = config.get("text_config")
    decoder = nested if isinstance(nested, Mapping) else config
    try:
        text = _DecoderConfig.model_validate(decoder)
    except ValidationError as unfit:
        wrong = ", ".join(f"{'.'.join(map(str, detail['loc']))}: {detail['msg']}" for detail in unfit.errors())
        raise ModelFilesError(f"config.json does not describe a decoder this app can plan for ({wrong}).") from unfit
    own_tokens = max(text.max_position_embeddings, readable_tokens(decoder))
    own_tokens = min(own_tokens, unchanging_tokens(decoder) or own_tokens)
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
        context_tokens=own_tokens,
        linear_parameters=layers * (attention + 3 * hidden * text.intermediate_size),
        longest_tokens=longest_tokens(config, own_tokens),
        other_parameters=(1 if text.tie_word_embeddings else 2) * text.vocab_size * hidden
        + layers * (2 * hidden + biases)
        + hidden,
    )


def unchanging_tokens(config: Mapping[str, object]) -> int | None:
    """How long a text may become before a decoder with this config turns all of its positions otherwise; None where it
    never does.

    Such are ``longrope`` (Phi-3's long contexts) and ``dynamic``, as transformers computes them. Keys that were cached
    before are wrong then, and so are those of everybody who is computed in the same step.
    """
    kind = rope_type(config)
    if kind not in ("longrope", "su", "dynamic"):
        return None
    original = rope_of(config).get("original_max_position_embeddings") or config.get("original_max_position_embeddings")
    tokens = config.get("max_position_embeddings") if kind == "dynamic" else original
    return tokens if isinstance(tokens, int) else None


def refuse_changing_positions(config: Mapping[str, object], context_tokens: int) -> None:
    """Raises ModelFilesError where texts of ``context_tokens`` would turn positions otherwise than short ones."""
    tokens = unchanging_tokens(config)
    if tokens is not None and context_tokens > tokens:
        raise ModelFilesError(
            f"This model turns its positions otherwise in texts of more than {tokens:,} tokens, and answers would be "
            f"wrong here. Choose --context {tokens} at most, or let another server run it (--engine remote)."
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
    need_readable(path)
    import gguf
    from transformers import AutoConfig

    from qwen_app.models.gguf.positions import scaling_in

    with _reading(path):
        config = AutoConfig.from_pretrained(path.parent, gguf_file=path.name, local_files_only=True).to_dict()
        scaling = scaling_in(gguf.GGUFReader(path), config.get("max_position_embeddings"))
    return replace(dims_from_config(config | ({"rope_parameters": scaling} if scaling else {})), nf4=False)


def bytes_as_stored(checkpoint: Checkpoint, precision: str) -> int:
    """Bytes of weights that are kept as the files have them; 0 where they are loaded in ``precision`` instead."""
    if checkpoint.is_gguf and precision == "int4":
        from qwen_app.models.quantised.gguf_file import held_bytes

        with _reading(checkpoint.path):
            return held_bytes(checkpoint.path)
    return checkpoint.size_bytes() if checkpoint.quantisation else 0


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """GGUF is read quickly within, and whatever its reader stumbles over in a file that is cut short or damaged is told
    of as that."""
    from qwen_app.models.gguf.quick_reader import use_quick_reader

    use_quick_reader()
    try:
        yield
    except Exception as broken:
        raise ModelFilesError(f"{path} is no whole GGUF file ({first_line(broken)[:200]}). Fetch it again.") from broken


def _tensor_shapes(path: Path) -> list[tuple[str, list[int]]]:
    check_safetensors(path)
    with path.open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    try:
        shapes = {name: list(map(index, entry["shape"])) for name, entry in header.items() if name != "__metadata__"}
    except MISSHAPEN as broken:
        raise ModelFilesError(f"{path} does not say the shapes of its tensors. Fetch the model again.") from broken
    return list(shapes.items())
