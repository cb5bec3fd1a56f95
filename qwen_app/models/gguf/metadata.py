"""The fields of a GGUF file that transformers leaves unread, done to the model that was made of its weights."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qwen_app.models.gguf.generation import generate_as_written
from qwen_app.models.gguf.positions import scale_as_written

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def do_as_written(model: PreTrainedModel, path: Path) -> None:
    """Turn positions, end answers and sample as ``path`` says; what of it is not done here is told in the log.

    Raises ValueError where the file's factors of positions are not for this model.
    """
    import gguf

    reader = gguf.GGUFReader(path)
    scale_as_written(model, path, reader)
    generate_as_written(model.generation_config, reader)
