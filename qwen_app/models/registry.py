"""The models known by name, what each needs, and which one ``--model auto`` means on this machine.

Any other hub id or local folder works too; its numbers are then read from its files.
"""

from __future__ import annotations

from dataclasses import dataclass

from qwen_app.models.builtin import NAME as BUILTIN
from qwen_app.models.device import Device
from qwen_app.models.dims import ModelDims, dims_from_config

DEFAULT = "Qwen/Qwen2.5-7B-Instruct"
FOUR_BIT_FROM_BYTES = 8_000_000_000  # the default model in 4-bit with room for a conversation
FP16_SHARE = 0.7616  # of a card that fp16 weights may take: puts the default model's border at 20 GB


@dataclass(frozen=True, slots=True)
class KnownModel:
    """A model and its dimensions as in its config.json."""

    name: str
    hidden: int
    layers: int
    heads: int
    kv_heads: int
    intermediate: int
    vocabulary: int
    tied: bool
    context_tokens: int = 32_768
    architecture: str = "qwen2"

    @property
    def dims(self) -> ModelDims:
        return dims_from_config(
            {
                "model_type": self.architecture,
                "hidden_size": self.hidden,
                "num_hidden_layers": self.layers,
                "num_attention_heads": self.heads,
                "num_key_value_heads": self.kv_heads,
                "intermediate_size": self.intermediate,
                "vocab_size": self.vocabulary,
                "tie_word_embeddings": self.tied,
                "max_position_embeddings": self.context_tokens,
            }
        )


KNOWN_MODELS = (
    KnownModel("Qwen/Qwen2.5-0.5B-Instruct", 896, 24, 14, 2, 4864, 151_936, tied=True),
    KnownModel("Qwen/Qwen2.5-1.5B-Instruct", 1536, 28, 12, 2, 8960, 151_936, tied=True),
    KnownModel("Qwen/Qwen2.5-3B-Instruct", 2048, 36, 16, 2, 11_008, 151_936, tied=True),
    KnownModel(DEFAULT, 3584, 28, 28, 4, 18_944, 152_064, tied=False),
    KnownModel("Qwen/Qwen2.5-14B-Instruct", 5120, 48, 40, 8, 13_824, 152_064, tied=False),
    KnownModel("Qwen/Qwen2.5-32B-Instruct", 5120, 64, 40, 8, 27_648, 152_064, tied=False),
    KnownModel("Qwen/Qwen2.5-72B-Instruct", 8192, 80, 64, 8, 29_568, 152_064, tied=False),
    KnownModel(BUILTIN, 576, 30, 9, 3, 1536, 49_152, tied=True, context_tokens=8192, architecture="llama"),
)


def known_model(name: str) -> KnownModel | None:
    return next((model for model in KNOWN_MODELS if model.name == name), None)


def choose_model(asked: str, device: Device) -> str:
    """The model's name: what was asked for, or for ``auto`` what this device runs well."""
    if asked != "auto":
        return asked
    enough = device.kind == "cuda" and device.total_bytes >= FOUR_BIT_FROM_BYTES
    return DEFAULT if enough else BUILTIN


def choose_precision(asked: str, dims: ModelDims, device: Device) -> str:
    """The precision: what was asked for, or for ``auto`` fp16 where the weights leave room on the card, else 4-bit.

    On a CPU it is fp32: half precision is no faster there and reads prompts several times slower.
    """
    if asked != "auto":
        return asked
    if device.kind == "cpu":
        return "fp32"
    return "fp16" if 2 * dims.parameters <= FP16_SHARE * device.total_bytes else "4bit"
