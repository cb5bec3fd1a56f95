"""The numbers that a plan is made of: read from a file, or the file is named as damaged."""

from __future__ import annotations

from pathlib import Path

import pytest
from gguf import GGMLQuantizationType as Kind

from qwen_app.errors import ModelFilesError
from qwen_app.models.dims import bytes_as_stored, dims_of
from qwen_app.models.folder import Checkpoint
from tests.models.small_gguf import LAYERS, WIDTH, write_gguf


@pytest.fixture(scope="module")
def gguf_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_gguf(tmp_path_factory.mktemp("gguf") / "model.gguf", "qwen2", Kind.Q4_0)


def test_a_gguf_file_tells_its_dimensions(gguf_file: Path) -> None:
    dims = dims_of(gguf_file)
    assert (dims.layers, dims.hidden) == (LAYERS, WIDTH)


@pytest.mark.parametrize("end", [0, 3, 10, 200, 300_000, -100])
def test_a_gguf_file_that_is_cut_short_is_named(gguf_file: Path, tmp_path: Path, end: int) -> None:
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(gguf_file.read_bytes()[:end])
    with pytest.raises(ModelFilesError, match=r"cut\.gguf is no whole GGUF file .*Fetch it again"):
        dims_of(cut)
    with pytest.raises(ModelFilesError, match=r"cut\.gguf is no whole GGUF file .*Fetch it again"):
        bytes_as_stored(Checkpoint(cut), "int4")
