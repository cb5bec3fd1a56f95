"""What a GGUF file says of far positions is done, or told that it is not."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable

import gguf
import numpy as np
import pytest
import torch
from transformers import PreTrainedModel
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

from qwen_app.errors import ModelFilesError
from tests.models.small_gguf import HEADS, WIDTH

ANGLES = WIDTH // HEADS // 2
FACTORS = np.linspace(1, 8, ANGLES, dtype=np.float32)
Writer = gguf.GGUFWriter
LINEAR, YARN = gguf.RopeScalingType.LINEAR, gguf.RopeScalingType.YARN


def factors(values: np.ndarray) -> Callable[[Writer], None]:
    return lambda writer: writer.add_tensor("rope_freqs.weight", values)


def stretched(kind: gguf.RopeScalingType, trained_tokens: int = 0) -> Callable[[Writer], None]:
    def write(writer: Writer) -> None:
        writer.add_rope_scaling_type(kind)
        writer.add_rope_scaling_factor(4.0)
        if trained_tokens:
            writer.add_rope_scaling_orig_ctx_len(trained_tokens)

    return write


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


@pytest.mark.parametrize("precision", ["int4", "fp32"])
@pytest.mark.parametrize(
    ("written", "said"),
    [
        (stretched(LINEAR), {"rope_type": "linear", "factor": 4.0}),
        (lambda writer: writer.add_float32("llama.rope.scale_linear", 4.0), {"rope_type": "linear", "factor": 4.0}),
        (stretched(YARN, 32), {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32}),
    ],
)
def test_positions_are_scaled_as_transformers_does_by_the_same_words(
    load: Callable[..., PreTrainedModel],
    precision: str,
    written: Callable[[Writer], None],
    said: dict[str, object],
) -> None:
    scaled, plain = load(precision, written), load(precision)
    config = copy.deepcopy(plain.config)
    config.rope_parameters = {**config.rope_parameters, **said}
    expected = LlamaRotaryEmbedding(config)
    rotary = scaled.get_decoder().rotary_emb
    torch.testing.assert_close(rotary.inv_freq, expected.inv_freq)
    assert rotary.attention_scaling == expected.attention_scaling
    assert not torch.equal(rotary.inv_freq, plain.get_decoder().rotary_emb.inv_freq)


def test_without_a_word_of_it_the_model_was_trained_on_as_many_tokens_as_it_reads(
    load: Callable[..., PreTrainedModel],
) -> None:
    model = load(also=stretched(YARN))
    assert model.config.rope_parameters["original_max_position_embeddings"] == model.config.max_position_embeddings


def test_factors_slow_angles_that_are_scaled_too(load: Callable[..., PreTrainedModel]) -> None:
    def both(writer: Writer) -> None:
        stretched(LINEAR)(writer)
        factors(FACTORS)(writer)

    expected = load().get_decoder().rotary_emb.inv_freq / 4 / torch.from_numpy(FACTORS)
    torch.testing.assert_close(load(also=both).get_decoder().rotary_emb.inv_freq, expected)


@pytest.mark.parametrize(
    ("written", "named"),
    [
        (stretched(gguf.RopeScalingType.LONGROPE), "longrope"),
        (
            lambda writer: (stretched(YARN, 32)(writer), writer.add_rope_scaling_yarn_beta_fast(16.0)),
            "rope.scaling.yarn_beta_fast",
        ),
    ],
)
def test_scaling_that_is_not_read_is_told(
    load: Callable[..., PreTrainedModel],
    caplog: pytest.LogCaptureFixture,
    written: Callable[[Writer], None],
    named: str,
) -> None:
    load(also=written)
    (said,) = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert f"({named}): answers get worse with a conversation's length" in said


def test_a_file_whose_scaling_is_read_or_none_says_nothing(
    load: Callable[..., PreTrainedModel], caplog: pytest.LogCaptureFixture
) -> None:
    for written in (stretched(gguf.RopeScalingType.NONE), stretched(YARN, 32), stretched(LINEAR)):
        load(also=written)
    load()
    assert [record for record in caplog.records if record.levelno == logging.ERROR] == []
