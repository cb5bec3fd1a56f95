from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwen_app.structured.closing.minimal_instance import max_forced_text, minimal_instance
from qwen_app.structured.closing.minimal_match import minimal_match
from qwen_app.structured.json_text import StringTracker, depth_of, duplicate_keys


@pytest.mark.parametrize(
    ("schema", "document"),
    [
        ({"type": "object"}, "{}"),
        (
            {"type": "object", "properties": {"b": {"type": "null"}, "a": {}}, "required": ["a", "b"]},
            '{"b":null,"a":0}',
        ),
        ({"type": "array", "items": {"type": "boolean"}, "minItems": 2}, "[true,true]"),
        ({"enum": ["long enough", "é"]}, '"é"'),
        ({"anyOf": [{"const": "abc"}, {"type": "null"}]}, "null"),
        ({"type": ["string", "null"]}, '""'),
        ({"type": "string", "minLength": 3}, '"aaa"'),
        ({"$ref": "#/$defs/x", "$defs": {"x": {"const": [1, {}]}}}, "[1,{}]"),
        ({"allOf": [{"properties": {"a": {"const": 1}}, "required": ["a"]}]}, '{"a":1}'),
        ({"$ref": "#"}, None),
        ({"type": "object", "properties": {"me": {"$ref": "#"}}, "required": ["me"]}, None),
    ],
)
def test_minimal_instances(schema: dict[str, Any], document: str | None) -> None:
    assert minimal_instance(schema) == document


def test_a_schema_that_doubles_at_every_step_stays_small() -> None:
    steps = {f"a{n}": {"type": "array", "minItems": 2, "items": {"$ref": f"#/$defs/a{n + 1}"}} for n in range(60)}
    assert len(minimal_instance({"$ref": "#/$defs/a0", "$defs": {**steps, "a60": {"type": "null"}}}) or "") < 10**6


def test_commitment_is_that_of_the_largest_part() -> None:
    big = {"type": "object", "properties": {"key": {"const": "x" * 50}}, "required": ["key"]}
    assert "x" * 50 in max_forced_text({"type": "object", "properties": {"optional": big}})


@pytest.mark.parametrize(
    "pattern",
    [
        "^abc$",
        "a+b*",
        "[^a]{3}",
        r"\d{2,}-\w\s",
        "(x|yy|z)+",
        r"^\S+\.(pdf|docx)$",
        "[\\u4e00-\\u9fa5]{2}",
        "^.*end$",
        "",
    ],
)
def test_examples_of_patterns_match_them(pattern: str) -> None:
    text = minimal_match(pattern)
    assert text is not None
    assert re.search(pattern, text)


@given(st.text(max_size=20))
def test_any_text_may_be_a_pattern(pattern: str) -> None:
    text = minimal_match(pattern)
    assert text is None or len(text) <= 256


def test_what_no_example_is_made_for() -> None:
    for pattern in ("(", r"\p{L}", "(?=a)b", r"(a)\1"):
        assert minimal_match(pattern) is None


@given(st.text(), st.integers(0, 40))
def test_the_tracker_knows_when_a_string_is_open(text: str, cut: int) -> None:
    written = json.dumps({"key": text}).encode()
    tracker = StringTracker()
    tracker.feed(written)
    assert not tracker.inside
    cut_off = StringTracker()
    cut_off.feed(written[: 9 + cut])
    inside = len(b'{"key": "') <= 9 + cut < len(written) - 1
    assert cut_off.inside == inside


def test_duplicate_keys_anywhere() -> None:
    assert duplicate_keys('{"a": {"b": 1, "b": 2}, "c": 1, "c": 2, "c": 3}') == ["b", "c"]
    assert duplicate_keys('[{"a": 1}, {"a": 1}]') == []


def test_depth() -> None:
    values: list[Any] = [1, {}, [[]], {"a": [1, {"b": {}}]}]
    assert [depth_of(value) for value in values] == [0, 1, 2, 4]
