from __future__ import annotations

import tracemalloc
from typing import Any

import pytest

from qwen_app.structured.closing.minimal_instance import max_forced_text, minimal_instance

MOST_BYTES = 6_000_000  # at any time, while an instance is made


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


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string", "minLength": 10**7},
        {"type": "array", "minItems": 10**7},
        {"type": "array", "minItems": 900, "items": {"type": "string", "minLength": 65_536}},
        {"required": [f"k{n}" for n in range(900)], "additionalProperties": {"type": "string", "minLength": 65_536}},
    ],
    ids=["string", "list", "list of strings", "object"],
)
def test_counts_are_cut_before_they_are_written_out(schema: dict[str, Any]) -> None:
    tracemalloc.start()
    try:
        assert len(minimal_instance(schema) or "") < 200_000
        assert tracemalloc.get_traced_memory()[1] < MOST_BYTES
    finally:
        tracemalloc.stop()


def test_forced_text_is_that_of_the_largest_part() -> None:
    big = {"type": "object", "properties": {"key": {"const": "x" * 50}}, "required": ["key"]}
    assert "x" * 50 in max_forced_text({"type": "object", "properties": {"optional": big}})
