"""What a GGUF file says of far positions is done, or told that it is not."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
from gguf import GGMLQuantizationType as Kind
from transformers import PreTrainedModel

from qwen_app.errors import ModelFilesError
from qwen_app.models import loader
from qwen_app.models.folder import Checkpoint
from tests.models.small_gguf import HEADS, WIDTH, write_gguf

ANGLES = WIDTH // HEADS // 2
FACTORS = np.linspace(1, 8, ANGLES, dtype=np.float32)
Writer = gguf.GGUFWriter


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., PreTrainedModel]:
    """The model of a file in a precision, without a tokenizer. ``also`` writes more into it."""
    monkeypatch.setattr(loader, "_load_tokenizer", lambda source: None)

    def loaded(precision: str = "int4", also: Callable[[Writer], None] = lambda writer: None) -> PreTrainedModel:
        path = write_gguf(tmp_path / "model.gguf", "llama", Kind.Q4_0, also=also)
        return loader._read(loader._source(Checkpoint(path), precision))[0]

    return loaded


def factors(values: np.ndarray) -> Callable[[Writer], None]:
    return lambda writer: writer.add_tensor("rope_freqs.weight", values)


def stretched(writer: Writer, kind: gguf.RopeScalingType) -> None:
    writer.add_rope_scaling_type(kind)
    writer.add_rope_scaling_factor(4.0)


@pytest.mark.parametrize("precision", ["int4", "fp32"])
def test_angles_are_slowed_by_the_factors_in_the_file(load: Callable[..., PreTrainedModel], precision: str) -> None:
    slowed, plain = load(precision, factors(FACTORS)), load(precision)
    expected = plain.get_decoder().rotary_emb.inv_freq / torch.from_numpy(FACTORS)
    torch.testing.assert_close(slowed.get_decoder().rotary_emb.inv_freq, expected)
    ids = torch.arange(40)[None]
    with torch.inference_mode():
        assert not torch.equal(slowed(ids).logits, plain(ids).logits)


def test_factors_for_another_model_are_refused(load: Callable[..., PreTrainedModel]) -> None:
    with pytest.raises(ModelFilesError, match=f"{ANGLES - 1} factors for {ANGLES} angles"):
        load(also=factors(FACTORS[1:]))


@pytest.mark.parametrize("kind", [gguf.RopeScalingType.YARN, gguf.RopeScalingType.LINEAR])
def test_scaling_that_is_not_read_is_told(
    load: Callable[..., PreTrainedModel], caplog: pytest.LogCaptureFixture, kind: gguf.RopeScalingType
) -> None:
    load(also=lambda writer: stretched(writer, kind))
    (said,) = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert f"({kind.value}): answers get worse with a conversation's length" in said


def test_a_file_without_scaling_says_nothing(
    load: Callable[..., PreTrainedModel], caplog: pytest.LogCaptureFixture
) -> None:
    load(also=lambda writer: stretched(writer, gguf.RopeScalingType.NONE))
    load()
    assert [record for record in caplog.records if record.levelno == logging.ERROR] == []
