"""What a GGUF file says of sampling and of ends is the model's, whichever way it is loaded."""

from __future__ import annotations

import logging
from collections.abc import Callable

import gguf
import pytest
from transformers import PreTrainedModel


def says(writer: gguf.GGUFWriter) -> None:
    writer.add_eos_token_id(92)
    writer.add_eot_token_id(94)
    writer.add_eom_token_id(95)
    writer.add_float32(gguf.Keys.General.SAMPLING_TEMP, 0.25)
    writer.add_int32(gguf.Keys.General.SAMPLING_TOP_K, 30)
    writer.add_float32(gguf.Keys.General.SAMPLING_TOP_P, 0.5)
    writer.add_float32(gguf.Keys.General.SAMPLING_MIN_P, 0.125)
    writer.add_float32(gguf.Keys.General.SAMPLING_PENALTY_REPEAT, 1.25)


@pytest.mark.parametrize("precision", ["int4", "fp32"])
def test_ends_and_sampling_are_those_of_the_file(load: Callable[..., PreTrainedModel], precision: str) -> None:
    config = load(precision, says).generation_config
    assert config.eos_token_id == [92, 94, 95]
    assert (config.temperature, config.top_k, config.top_p, config.min_p) == (0.25, 30, 0.5, 0.125)
    assert config.repetition_penalty == 1.25


def test_a_file_that_says_nothing_changes_nothing(load: Callable[..., PreTrainedModel]) -> None:
    config = load().generation_config
    assert (config.temperature, config.top_k, config.top_p, config.min_p) == (None, None, None, None)


def test_sampling_that_is_not_done_here_is_told(
    load: Callable[..., PreTrainedModel], caplog: pytest.LogCaptureFixture
) -> None:
    load(also=lambda writer: writer.add_int32(gguf.Keys.General.SAMPLING_MIROSTAT, 2))
    (said,) = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert "general.sampling.mirostat" in said
