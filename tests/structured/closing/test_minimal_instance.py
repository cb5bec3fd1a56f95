from __future__ import annotations

from typing import Any

import pytest

from qwen_app.structured.closing.minimal_instance import max_forced_text, minimal_instance


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


def test_forced_text_is_that_of_the_largest_part() -> None:
    big = {"type": "object", "properties": {"key": {"const": "x" * 50}}, "required": ["key"]}
    assert "x" * 50 in max_forced_text({"type": "object", "properties": {"optional": big}})
