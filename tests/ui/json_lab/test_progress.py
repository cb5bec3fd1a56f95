from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwen_app.ui.json_lab.progress import LIMIT_CHARS, LIMIT_DEPTH, JsonProgress, Place

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


def followed(text: str, step: int = 1) -> JsonProgress:
    progress = JsonProgress()
    for start in range(0, len(text), step):
        progress.feed(text[start : start + step])
    return progress


@pytest.mark.parametrize(
    ("text", "path", "depth", "stage"),
    [
        ("", "$", 0, "start"),
        ("{", "$", 1, "key"),
        ('{"na', "$", 1, "key"),
        ('{"name"', "$.name", 1, "next"),
        ('{"name": ', "$.name", 1, "value"),
        ('{"name": "Al', "$.name", 1, "string"),
        ('{"name": "Al", "people": [{"a b": 1', '$.people[0]["a b"]', 3, "literal"),
        ('{"people": [{"x": 1}, {"x": [true, ', "$.people[1].x[1]", 4, "value"),
        ('{"people": []', "$.people", 1, "next"),
        ('{"a": 1}', "$", 0, "done"),
        ('"text"', "$", 0, "done"),
        ('{"a" 1}', "$.a", 1, "invalid"),
        ("[1}", "$[0]", 1, "invalid"),
        ("{} more", "$", 0, "invalid"),
        ("[tru,", "$[0]", 1, "invalid"),
    ],
)
def test_places(text: str, path: str, depth: int, stage: Any) -> None:
    assert followed(text).place == Place(path, depth, stage)
    assert followed(text, 100).place == Place(path, depth, stage)


@given(values, st.integers(1, 7), st.booleans())
def test_the_whole_document_is_there_in_the_end(value: Any, step: int, indented: bool) -> None:
    text = json.dumps(value, indent=2 if indented else None)
    progress = followed(text + " ", step)
    assert progress.place == Place("$", 0, "done")
    assert progress.document == json.loads(text)


@given(values, st.integers(0, 200))
def test_every_beginning_has_a_place_and_a_tree(value: Any, cut: int) -> None:
    text = json.dumps({"root": value})[:cut]
    progress = followed(text)
    assert progress.place.stage != "invalid"
    json.dumps(progress.document)
    json.dumps(progress.document, ensure_ascii=False).encode()


@given(st.text(alphabet='{}[],:"\\tru12. nabc', max_size=30), st.integers(1, 5))
def test_any_text_is_taken_however_it_is_cut(text: str, step: int) -> None:
    assert followed(text, step).place == followed(text).place


def test_the_tree_shows_a_string_while_it_is_written() -> None:
    progress = followed('{"a": [1, "he\\')
    assert progress.document == {"a": [1, "he"]}
    progress.feed("n\\ud83d")
    assert progress.document == {"a": [1, "he\n"]}
    progress.feed('\\ude00"]')
    assert progress.document == {"a": [1, "he\n😀"]}


def test_what_is_too_large_to_be_drawn_is_not_followed() -> None:
    deep, long = JsonProgress(), JsonProgress()
    deep.feed("[" * 100_000)
    assert (deep.place.stage, deep.place.depth) == ("too_large", LIMIT_DEPTH)
    long.feed('["' + "x" * LIMIT_CHARS)
    assert long.place.stage == "too_large"
    keyed = JsonProgress()
    keyed.feed('{"' + "k" * 10_000 + '": ')
    assert len(keyed.place.path) < 100
