from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import gguf
import pytest
from gguf import GGMLQuantizationType as Kind
from transformers import PreTrainedModel

from qwen_app.models import loader
from qwen_app.models.folder import Checkpoint
from tests.models.small_gguf import write_gguf


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., PreTrainedModel]:
    """The model of a file in a precision, without a tokenizer. ``also`` writes more into it."""
    monkeypatch.setattr(loader, "_load_tokenizer", lambda source: None)

    def loaded(
        precision: str = "int4", also: Callable[[gguf.GGUFWriter], None] = lambda writer: None
    ) -> PreTrainedModel:
        path = write_gguf(tmp_path / "model.gguf", "llama", Kind.Q4_0, also=also)
        return loader._read(loader._source(Checkpoint(path), precision))[0]

    return loaded
