"""What a GGUF file says of positions beyond a model's first range, which transformers leaves unread."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedModel

log = logging.getLogger(__name__)

KEYS = ".rope.scal"  # of the two generations that llama.cpp reads
FACTORS = "rope_freqs.weight"  # of Llama 3.1 and later
UNREAD = "Positions are scaled in %s as is not read here (%s): answers get worse with a conversation's length."


def scale_as_written(model: PreTrainedModel, path: Path) -> None:
    """Slow the angles of ``model``'s positions by the factors in ``path``. Other scaling is told as an error, not done.

    Raises ValueError where there are not as many factors as angles.
    """
    import gguf
    import torch

    reader = gguf.GGUFReader(path)
    written = {name.partition(".")[2]: field.contents() for name, field in reader.fields.items() if KEYS in name}
    if kind := _kind_of_scaling(written):
        log.error(UNREAD, path, kind)
    tensor = next((tensor for tensor in reader.tensors if tensor.name == FACTORS), None)
    if tensor is None:
        return
    rotary = getattr(model.get_decoder(), "rotary_emb", None)
    angles = getattr(rotary, "inv_freq", None)
    if rotary is None or angles is None:
        log.error(UNREAD, path, FACTORS)
        return
    factors = torch.tensor(gguf.dequantize(tensor.data, tensor.tensor_type))
    if factors.shape != angles.shape:
        raise ValueError(f"{FACTORS} has {factors.numel()} factors for {angles.numel()} angles.")
    rotary.inv_freq = angles / factors.to(angles)


def _kind_of_scaling(written: Mapping[str, object]) -> str:
    """How llama.cpp scales positions where a file has these keys; empty where it does not."""
    kind = str(written.get("rope.scaling.type", "linear"))
    factor = written.get("rope.scaling.factor") or written.get("rope.scale_linear") or 1.0
    return "" if kind == "none" or (kind == "linear" and factor == 1.0) else kind
