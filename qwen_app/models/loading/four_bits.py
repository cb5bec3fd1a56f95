"""Weights held in 4 bits, whatever they come in."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from qwen_app.models.device import on_a_card, use_expandable_segments
from qwen_app.models.files.weights import weight_files
from qwen_app.models.loading.dense import load_weights
from qwen_app.models.loading.source import Source

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def load_four_bits(source: Source) -> PreTrainedModel:
    """Tensor by tensor where the architecture is one whose tensors we know, else whole, and rounded afterwards."""
    from qwen_app.models.quantised.load import default_placement, load_folder, load_gguf, reads_folder
    from qwen_app.models.quantised.skeleton import shrink_layers

    has_card = on_a_card()
    if has_card:
        use_expandable_segments()
    placement = default_placement(on_a_card=has_card)
    if source.gguf_file:
        model = load_gguf(source.path, placement)
        if model is not None:
            return model
    elif reads_folder(source.folder):
        return load_folder(source.folder, weight_files(source.folder), placement)
    model = load_weights(replace(source, dtype=placement.dtype), device_map="cpu")
    shrink_layers(model, placement)
    return model
