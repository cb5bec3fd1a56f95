from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import gguf
import pytest
from gguf import GGMLQuantizationType as Kind
from transformers import PreTrainedModel

from qwen_app.models.files.checkpoint import Checkpoint
from qwen_app.models.loading import reader
from qwen_app.models.loading.source import source_of
from tests.models.small_gguf import write_gguf


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., PreTrainedModel]:
    """The model of a file in a precision, without a tokenizer. ``also`` writes more into it."""
    monkeypatch.setattr(reader, "load_tokenizer", lambda source: None)

    def loaded(
        precision: str = "int4", also: Callable[[gguf.GGUFWriter], None] = lambda writer: None
    ) -> PreTrainedModel:
        path = write_gguf(tmp_path / "model.gguf", "llama", Kind.Q4_0, also=also)
        return reader.read_model(source_of(Checkpoint(path), precision))[0]

    return loaded
