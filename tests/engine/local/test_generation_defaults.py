"""What a model's files say of sampling and ends is done as far as it can be, and keeps no engine from starting."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import GenerationConfig

from qwen_app.engine.local.generation_defaults import end_ids, sampling_defaults
from qwen_app.messages import SamplingParams
from qwen_app.models.loading.loaded_model import LoadedModel
from qwen_app.models.loading.loader import load
from qwen_app.structured.vocabulary import Vocabulary
from tests.tiny_qwen import PADDED_VOCABULARY, save_tiny_qwen

STEPS = ("temperature", "top_p", "top_k", "min_p", "repetition_penalty")


@pytest.fixture(scope="module")
def loaded(tiny_qwen_dir: Path) -> LoadedModel:
    return load(tiny_qwen_dir, precision="fp32")


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What we said: transformers finds fault with some of it, too."""
    return [record.getMessage() for record in caplog.records if record.name.startswith("qwen_app.")]


@pytest.mark.parametrize(
    ("written", "done"),
    [
        ({}, {}),
        ({"temperature": 0.0}, {"temperature": 0.0}),
        ({"temperature": 0.9, "do_sample": False}, {"temperature": 0.0}),
        ({"top_k": 0, "top_p": 0.0}, {"top_k": 0, "top_p": 0.0}),
        ({"temperature": "0.5", "top_k": "20"}, {"temperature": 0.5, "top_k": 20}),
        ({"temperature": None, "top_k": None, "top_p": 0.5}, {"top_p": 0.5}),
    ],
)
def test_what_the_files_ask_for_is_done(
    written: dict[str, object], done: dict[str, float], caplog: pytest.LogCaptureFixture
) -> None:
    assert sampling_defaults(GenerationConfig(**written)) == SamplingParams(**done)
    assert told(caplog) == []


@pytest.mark.parametrize(
    ("written", "done"),
    [
        ({"top_k": -1}, {"top_k": 0}),
        ({"temperature": 11.0}, {"temperature": 10.0}),
        ({"temperature": -0.5}, {"temperature": 0.0}),
        ({"temperature": "warm"}, {}),
        ({"temperature": True}, {}),
        ({"top_p": 1.5}, {}),
        ({"repetition_penalty": 0.0}, {}),
        ({"min_p": [0.1]}, {}),
        ({"min_p": float("nan")}, {}),
    ],
)
def test_what_no_sampler_can_do_is_told(
    written: dict[str, object], done: dict[str, float], caplog: pytest.LogCaptureFixture
) -> None:
    assert sampling_defaults(GenerationConfig(**written)) == SamplingParams(**done)
    (said,) = told(caplog)
    assert next(iter(written)) in said


ANYTHING = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.lists(st.none())


@given(written=st.dictionaries(st.sampled_from(STEPS), ANYTHING))
def test_no_value_keeps_an_engine_from_starting(written: dict[str, object]) -> None:
    sampling_defaults(GenerationConfig(**written))


def ending(loaded: LoadedModel, written: object) -> LoadedModel:
    """The same model with these ends in its generation_config.json."""
    return dataclasses.replace(loaded, generation_config=GenerationConfig(eos_token_id=written))


@pytest.mark.parametrize(
    ("written", "ends"),
    [
        ([258, 256], {256, 258}),
        ([258, 256, 99_999], {256, 258}),
        ([256, None, "x", "258"], {256, 258}),
        ([PADDED_VOCABULARY - 1], {258}),  # the model has a row for it, and the tokenizer nothing
        (-1, {258}),
        (256, {256, 258}),
    ],
)
def test_ends_are_those_of_the_tokenizer(loaded: LoadedModel, written: object, ends: set[int]) -> None:
    found = end_ids(ending(loaded, written), PADDED_VOCABULARY)
    assert found == ends
    Vocabulary(loaded.tokenizer, vocab_size=PADDED_VOCABULARY, eos_ids=sorted(found))


@pytest.mark.parametrize("precision", ["fp32", "int4"])
def test_ends_of_the_configuration_count_where_the_defaults_name_none(tmp_path: Path, precision: str) -> None:
    folder = save_tiny_qwen(tmp_path)
    for name, changed in (("config.json", {"eos_token_id": [256, 257]}), ("generation_config.json", {})):
        kept = json.loads((folder / name).read_text(encoding="utf-8")) if changed else {"temperature": 0.7}
        (folder / name).write_text(json.dumps(kept | changed), encoding="utf-8")
    assert end_ids(load(folder, precision=precision), PADDED_VOCABULARY) == {256, 257, 258}


def test_an_end_that_is_left_out_is_told(loaded: LoadedModel, caplog: pytest.LogCaptureFixture) -> None:
    end_ids(ending(loaded, [258, 99_999]), PADDED_VOCABULARY)
    (said,) = told(caplog)
    assert "[99999]" in said
