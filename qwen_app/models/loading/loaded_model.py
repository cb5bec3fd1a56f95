"""A model in memory, with what is known of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from qwen_app.models.device import card_uuids

if TYPE_CHECKING:
    import torch
    from transformers import GenerationConfig, PreTrainedModel, PreTrainedTokenizerBase


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model ready to run, in eval mode."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    name: str
    revision: str
    precision: str
    device: torch.device
    weights_bytes: int
    generation_config: GenerationConfig

    def gpu_uuids(self) -> tuple[str, ...]:
        """The cards that its weights are on."""
        return card_uuids({parameter.device for parameter in self.model.parameters()})


def weights_bytes(model: PreTrainedModel) -> int:
    """Bytes of all weights, each shared one once, with the scales that bitsandbytes keeps beside them."""
    tensors = [*model.parameters(), *model.buffers()]
    for weight in model.parameters():
        state = getattr(weight, "quant_state", None)
        if state is not None:
            tensors += [part for part in state.as_dict(packed=True).values() if hasattr(part, "nbytes")]
        scales = getattr(weight, "SCB", None)
        if scales is not None:
            tensors.append(scales)
    return sum(tensor.nbytes for tensor in tensors)
