"""Contexts longer than a model was trained for, by YaRN: what they cost, and the switch.

Qwen2.5's model card: up to 32,768 tokens as the model is, up to 131,072 with YaRN (Peng et al. 2023, arXiv:2309.00071)
at factor 4. It is static: the same for short texts, which it may cost some quality. So it is on only where
``--context`` asks for more than the model has by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedModel

FACTOR = 4.0
MOST_TOKENS = 131_072
LARGEST = 2**40
ARCHITECTURES = ("qwen2",)


@dataclass(frozen=True, slots=True)
class LongContextCost:
    """``prefill_ratio`` is the work of reading it, in that of the model's own longest; ``cache_bytes`` are what a
    conversation holds, read for every token of an answer beside the weights."""

    tokens: int
    prefill_ratio: float
    cache_bytes: int


def rope_of(config: Mapping[str, object]) -> Mapping[str, object]:
    """What this config.json says of its positions, by the key that transformers heeds first; empty where it does not
    say, or says it of each kind of layer by itself."""
    rope = config.get("rope_scaling") or config.get("rope_parameters")
    return rope if isinstance(rope, Mapping) else {}


def rope_type(config: Mapping[str, object]) -> str:
    """How positions are turned, in transformers' words."""
    rope = rope_of(config)
    return str(rope.get("rope_type") or rope.get("type") or "default")


def readable_tokens(config: Mapping[str, object]) -> int:
    """How many tokens a model with this config.json reads as it is: what it says, or how far YaRN stretches its
    positions from where they are not, as transformers computes them.

    Whoever prepares a model for long texts as its card says adds the stretching alone. Beside linear stretching most
    files tell the stretched length (DeepSeek-Coder, Gemma 3), and those that do not look the same.
    """
    told = _number(config, "max_position_embeddings")
    if rope_type(config) != "yarn":
        return int(told)
    rope, name = rope_of(config), "original_max_position_embeddings"
    original = _number(config, name) or _number(rope, name) or told
    return int(max(told, original * _number(rope, "factor")))


def longest_tokens(config: Mapping[str, object], own_tokens: int) -> int:
    """The longest context of a model with this config.json: its own, or by YaRN where its card offers that."""
    if config.get("model_type") not in ARCHITECTURES or rope_type(config) != "default":
        return own_tokens
    return max(own_tokens, min(MOST_TOKENS, int(own_tokens * FACTOR)))


def prefill_flops(parameters: int, layers: int, width: int, tokens: int) -> float:
    """Multiplications and additions of reading ``tokens``: two for each parameter and token, and attention's, half of
    whose square of scores is masked. ``width`` is that of all query heads together."""
    return 2.0 * parameters * tokens + 2.0 * layers * width * tokens**2


def use_yarn(model: PreTrainedModel, context_tokens: int) -> bool:
    """Turn positions as YaRN does where ``context_tokens`` are more than the model's own; whether it was needed.

    Positions that its files stretch themselves stay as they are.
    """
    config = model.config.get_text_config().to_dict()
    own = readable_tokens(config)
    if context_tokens <= own or rope_type(config) != "default":
        return False
    turn_positions(model, {"rope_type": "yarn", "factor": FACTOR, "original_max_position_embeddings": own})
    return True


def turn_positions(model: PreTrainedModel, scaling: Mapping[str, object]) -> None:
    """Turn positions by ``scaling``, in the words of transformers' ``rope_parameters``."""
    body = model.get_decoder()
    model.config.rope_parameters = {**model.config.rope_parameters, **scaling}
    old = body.rotary_emb
    body.rotary_emb = type(old)(config=model.config).to(old.inv_freq.device)


def _number(said: Mapping[str, object], name: str) -> float:
    """0 where nothing is said, or nothing that a length can be made of."""
    value = said.get(name)
    return value if isinstance(value, int | float) and 0 < value < LARGEST else 0
