"""What a GGUF file says of positions beyond a model's first range, which transformers leaves unread."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, cast

from qwen_app.models.adapted.long_context import turn_positions

if TYPE_CHECKING:
    from gguf import GGUFReader
    from torch import Tensor
    from torch.nn import Module
    from transformers import PreTrainedModel

log = logging.getLogger(__name__)

KEYS = ".rope.scal"  # of the two generations that llama.cpp reads
# What decides nothing beside those read here: how long the model was trained on scaled positions, if it was.
READ = ("type", "factor", "original_context_length", "finetuned")
FACTORS = "rope_freqs.weight"  # of Llama 3.1 and later
UNREAD = "Positions are scaled in %s as is not read here (%s): answers get worse with a conversation's length."


def scale_as_written(model: PreTrainedModel, path: Path, reader: GGUFReader) -> None:
    """Turn positions of ``model`` as ``path``, which ``reader`` reads, says: scaled linearly or by YaRN, and slowed by
    its factors. Scaling of another kind is told as an error, not done.

    Raises ValueError where there are not as many factors as angles.
    """
    import gguf
    import torch

    written = _written(reader)
    tensor = next((tensor for tensor in reader.tensors if tensor.name == FACTORS), None)
    unread = _unread(written)
    if not unread and not hasattr(getattr(model.get_decoder(), "rotary_emb", None), "inv_freq"):
        unread = _kind(written) or (FACTORS if tensor else "")
    if unread:
        log.error(UNREAD, path, unread)
        return
    if scaling := scaling_in(reader, model.config.max_position_embeddings):
        turn_positions(model, scaling)
    if tensor:
        factors = torch.tensor(gguf.dequantize(tensor.data, tensor.tensor_type))
        _slow_angles(model.get_decoder().rotary_emb, factors)


def scaling_in(reader: GGUFReader, own_tokens: object) -> dict[str, object]:
    """What the file says of scaled positions in transformers' words; empty where none are scaled, or not as is read
    here. ``own_tokens`` is what else it says that the model reads."""
    written = _written(reader)
    kind = _kind(written)
    if not kind or _unread(written):
        return {}
    scaling: dict[str, object] = {"rope_type": kind, "factor": _factor(written)}
    if kind == "yarn":
        trained = written.get("rope.scaling.original_context_length")
        scaling["original_max_position_embeddings"] = trained or own_tokens
    return scaling


def _written(reader: GGUFReader) -> dict[str, object]:
    return {name.partition(".")[2]: field.contents() for name, field in reader.fields.items() if KEYS in name}


def _slow_angles(rotary: Module, factors: Tensor) -> None:
    angles = cast("Tensor", rotary.inv_freq)
    if factors.shape != angles.shape:
        raise ValueError(f"{FACTORS} has {factors.numel()} factors for {angles.numel()} angles.")
    rotary.inv_freq = angles / factors.to(angles)


def _kind(written: Mapping[str, object]) -> str:
    """How llama.cpp scales positions where a file has these keys; empty where it does not."""
    kind = str(written.get("rope.scaling.type", "linear"))
    return "" if kind == "none" or (kind == "linear" and _factor(written) == 1.0) else kind


def _factor(written: Mapping[str, object]) -> float:
    return cast("float", written.get("rope.scaling.factor") or written.get("rope.scale_linear") or 1.0)


def _unread(written: Mapping[str, object]) -> str:
    """The kind, or what else the file says of scaling, that is not read here; empty where all of it is."""
    kind = _kind(written)
    if kind not in ("", "linear", "yarn"):
        return kind
    others = [name for name in written if name.startswith("rope.scaling.") and name.split(".")[-1] not in READ]
    return ", ".join(others) if kind == "yarn" else ""
