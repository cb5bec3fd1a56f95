"""The numbers that a plan is made of: read from a file, or the file is named as damaged."""

from __future__ import annotations

from pathlib import Path

import gguf
import pytest
from gguf import GGMLQuantizationType as Kind
from transformers import LlamaConfig, Phi3Config, PretrainedConfig

from qwen_app.errors import ModelFilesError
from qwen_app.models.dims import bytes_as_stored, dims_from_config, dims_of, refuse_changing_positions
from qwen_app.models.files.checkpoint import Checkpoint
from tests.models.small_gguf import LAYERS, WIDTH, write_gguf


@pytest.fixture(scope="module")
def gguf_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_gguf(tmp_path_factory.mktemp("gguf") / "model.gguf", "qwen2", Kind.Q4_0)


def test_a_gguf_file_tells_its_dimensions(gguf_file: Path) -> None:
    dims = dims_of(gguf_file)
    assert not dims.nf4
    assert (dims.layers, dims.hidden) == (LAYERS, WIDTH)


@pytest.mark.parametrize(
    ("kind", "more", "tokens"),
    [
        (gguf.RopeScalingType.YARN, {}, 512),
        (gguf.RopeScalingType.YARN, {"original": 64}, 256),
        (gguf.RopeScalingType.LINEAR, {}, 128),  # the length beside it may be the stretched one
        (gguf.RopeScalingType.NONE, {}, 128),
        (gguf.RopeScalingType.LONGROPE, {}, 128),  # told when it is loaded
    ],
)
def test_a_gguf_file_reaches_as_far_as_its_positions_are_stretched(
    tmp_path: Path, kind: gguf.RopeScalingType, more: dict[str, int], tokens: int
) -> None:
    def stretched(writer: gguf.GGUFWriter) -> None:
        writer.add_rope_scaling_type(kind)
        writer.add_rope_scaling_factor(4.0)
        if more:
            writer.add_rope_scaling_orig_ctx_len(more["original"])

    assert dims_of(write_gguf(tmp_path / "model.gguf", "llama", Kind.Q4_0, also=stretched)).context_tokens == tokens


@pytest.mark.parametrize("end", [0, 3, 10, 200, 300_000, -100])
def test_a_gguf_file_that_is_cut_short_is_named(gguf_file: Path, tmp_path: Path, end: int) -> None:
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(gguf_file.read_bytes()[:end])
    with pytest.raises(ModelFilesError, match=r"cut\.gguf is no whole GGUF file .*Fetch it again"):
        dims_of(cut)
    with pytest.raises(ModelFilesError, match=r"cut\.gguf is no whole GGUF file .*Fetch it again"):
        bytes_as_stored(Checkpoint(cut), "int4")


PHI = Phi3Config(
    max_position_embeddings=131_072,
    original_max_position_embeddings=4096,
    rope_parameters={
        "rope_type": "longrope",
        "rope_theta": 1e4,
        "short_factor": [1.0] * 48,
        "long_factor": [4.0] * 48,
        "original_max_position_embeddings": 4096,
    },
)
DYNAMIC = LlamaConfig(
    max_position_embeddings=8192, rope_parameters={"rope_type": "dynamic", "rope_theta": 1e4, "factor": 4.0}
)


@pytest.mark.parametrize(("config", "tokens"), [(PHI, 4096), (DYNAMIC, 8192)], ids=["longrope", "dynamic"])
def test_a_context_is_no_longer_than_all_texts_are_read_alike(config: PretrainedConfig, tokens: int) -> None:
    """Beyond it, one long conversation would turn the positions of all others otherwise."""
    told = config.to_dict()
    dims = dims_from_config(told)
    assert dims.context_tokens == dims.longest_tokens == tokens
    refuse_changing_positions(told, tokens)
    with pytest.raises(ModelFilesError, match=f"--context {tokens}"):
        refuse_changing_positions(told, tokens + 1)


def test_a_length_in_quotes_is_one() -> None:
    told = LlamaConfig().to_dict() | {"max_position_embeddings": "8192"}
    assert dims_from_config(told).context_tokens == 8192


@pytest.mark.parametrize("kind", ["default", "linear", "llama3", "yarn"])
def test_where_positions_never_change_the_context_is_the_models_own(kind: str) -> None:
    told = LlamaConfig(max_position_embeddings=8192).to_dict() | {"rope_parameters": {"rope_type": kind}}
    assert dims_from_config(told).context_tokens == 8192
    refuse_changing_positions(told, 100_000)
