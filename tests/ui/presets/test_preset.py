from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwen_app.errors import RequestError
from qwen_app.ui.presets.preset import LIMIT_NAME_CHARS, LIMIT_PRESETS, Preset, joined, presets_json, read_presets
from qwen_app.ui.shared.strings import Texts

ENGLISH = Texts("en")
BRIEF = Preset("brief", "Be brief.", 0.2, 0.9, 128, json_mode=False)
names = st.text(st.characters(blacklist_categories=("Cs",)), min_size=1, max_size=LIMIT_NAME_CHARS).filter(
    lambda name: name == name.strip()
)
presets = st.builds(
    Preset,
    name=names,
    system=st.text(st.characters(blacklist_categories=("Cs",)), max_size=200).map(str.strip),
    temperature=st.floats(0, 2),
    top_p=st.floats(0.01, 1),
    max_tokens=st.integers(1, 10_000),
    json_mode=st.booleans(),
)


def refusal(text: str) -> str:
    with pytest.raises(RequestError) as refused:
        read_presets(text, ENGLISH)
    return refused.value.message


def file_of(**entry: object) -> str:
    return json.dumps({"format": "qwen-chat-presets", "version": 1, "presets": [{"name": "a"}, entry]})


@given(st.lists(presets, min_size=1, max_size=5, unique_by=lambda preset: preset.name))
def test_what_is_taken_out_can_be_brought_in(written: list[Preset]) -> None:
    assert read_presets(presets_json(written), ENGLISH) == tuple(written)


@given(st.text() | st.from_type(int).map(str) | st.recursive(st.none(), st.lists).map(json.dumps))
def test_any_other_text_is_refused_with_a_sentence(text: str) -> None:
    assert refusal(text)


@pytest.mark.parametrize(
    ("entry", "place", "rule"),
    [
        ({"name": ""}, "presets[1].name", "1 to 60"),
        ({"name": "b", "temperature": 3}, "presets[1].temperature", "from 0 to 2"),
        ({"name": "b", "temperature": "hot"}, "presets[1].temperature", "from 0 to 2"),
        ({"name": "b", "temperature": float("nan")}, "presets[1].temperature", "from 0 to 2"),
        ({"name": "b", "top_p": 0}, "presets[1].top_p", "0.01 to 1"),
        ({"name": "b", "max_tokens": 1.5}, "presets[1].max_tokens", "whole number"),
        ({"name": "b", "json_mode": "yes"}, "presets[1].json_mode", "true or false"),
        ({"name": "b", "system": "x" * 20_001}, "presets[1].system", "20,000"),
        ({"name": "b", "top_k": 3}, "presets[1].top_k", "left out"),
        ({"name": "a"}, "", "Two presets"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(entry: dict[str, object], place: str, rule: str) -> None:
    sentence = refusal(file_of(**entry))
    assert place in sentence
    assert rule in sentence


def test_files_of_another_kind_are_named() -> None:
    assert "no JSON" in refusal("{")
    assert "format" in refusal('{"format": "qwen-chat", "version": 1}')
    assert "list of 1 to 50" in refusal('{"format": "qwen-chat-presets", "version": 1, "presets": []}')
    assert "too large" in refusal(" " * 1_600_000)


def test_a_name_that_is_taken_gets_a_number_and_the_same_preset_comes_once() -> None:
    other = Preset("brief", "Be very brief.", 0.2, 0.9, 128, json_mode=False)
    assert [preset.name for preset in joined([BRIEF], [other, BRIEF], ENGLISH)] == ["brief", "brief 2"]


def test_no_more_presets_than_are_kept() -> None:
    many = [Preset(f"{number}", "", 0.2, 0.9, 128, json_mode=False) for number in range(LIMIT_PRESETS)]
    with pytest.raises(RequestError, match="At most 50"):
        joined(many, [BRIEF], ENGLISH)
