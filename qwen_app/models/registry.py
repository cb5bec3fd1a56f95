"""The models known by name, what each needs, and which one ``--model auto`` means on this machine.

Any other hub id or local folder works too; its numbers are then read from its files.
"""

from __future__ import annotations

from dataclasses import dataclass

from qwen_app.errors import DoesNotFit
from qwen_app.models.builtin import NAME as BUILTIN
from qwen_app.models.device import Device
from qwen_app.models.dims import ModelDims, dims_from_config
from qwen_app.models.memory_plan import INT4, four_bits_on, weights_of

DEFAULT = "Qwen/Qwen2.5-7B-Instruct"
FOUR_BIT_FROM_BYTES = 8_000_000_000  # the default model in 4-bit with room for a conversation
INT4_ON_A_CPU_FROM = 2_000_000_000  # parameters
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


def choose_model(setting: str, device: Device) -> str:
    """The model's name: what was asked for, or for ``auto`` what this device runs well.

    Raises DoesNotFit where a card that cannot be used would quietly mean the CPU.
    """
    if device.problem and setting != BUILTIN:
        raise DoesNotFit(
            f"This machine has an NVIDIA card, but {device.problem}. Mend that, or run the small built-in model on the "
            "CPU with --model builtin. With CUDA_VISIBLE_DEVICES set to nothing, any model runs on the CPU, slowly."
        )
    if setting != "auto":
        return setting
    enough = device.kind == "cuda" and device.total_bytes >= FOUR_BIT_FROM_BYTES
    return DEFAULT if enough else BUILTIN


def choose_precision(setting: str, dims: ModelDims, device: Device, *, four_bit_file: bool = False) -> str:
    """The precision: what was asked for, or for ``auto`` fp16 where the weights leave room on the card, else 4 bits; of
    several cards, on the first, and on all where it has no room in 4 bits either.

    int4 takes one card, of Ampere's generation or newer: others hold 4 bits as NF4, and int4 that was asked for is
    refused there with DoesNotFit. A ``four_bit_file`` stays as it is, int4, where that is possible. So is a large model
    on a CPU, where the time of a token is that of reading the weights; a small one loses more by rounding and is fp32.
    Half precision is no faster there and reads prompts several times slower.
    """
    if setting != "auto":
        return _on(device, setting, four_bit_file=four_bit_file)
    if four_bit_file:
        return INT4 if device.kind == "cpu" or device.one.ampere else "fp16"
    if device.kind == "cpu":
        return INT4 if dims.parameters >= INT4_ON_A_CPU_FROM else "fp32"
    for part in device.parts:
        room_bytes = FP16_SHARE * part.total_bytes
        if 2 * dims.parameters <= room_bytes:
            return "fp16"
        if weights_of(dims, four_bits_on(part), part) <= room_bytes:
            return four_bits_on(part)
    return four_bits_on(device)


def _on(device: Device, precision: str, *, four_bit_file: bool) -> str:
    """``precision``, where the device has the kernels for it. Raises DoesNotFit."""
    if precision not in (INT4, "bf16") or device.kind == "cpu" or (device.one if precision == INT4 else device).ampere:
        return precision
    other = "4bit" if precision == INT4 and not four_bit_file else "fp16"
    raise DoesNotFit(
        f"{precision} needs a card of compute capability 8.0 or newer, which {device.name} is not. "
        f"Use --precision {other}."
    )
