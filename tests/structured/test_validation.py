"""Answers against their schema: linear, offline, and JSON alone."""

from __future__ import annotations

import pytest

from qwen_app.errors import SchemaError
from qwen_app.structured.validation import check_against_draft, validate_text


@pytest.mark.parametrize("text", ["421e973", "-1e999", "12345678901234567890", "1e-400"])
def test_any_number_that_json_has_is_a_number(text: str) -> None:
    assert validate_text(text, {"type": "number"}) is None


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "{", "[" * 100_000, '{"a": 1, "a": 2}'])
def test_what_is_no_json_is_wrong(text: str) -> None:
    assert validate_text(text, {}) is not None


def test_the_place_of_a_fault_is_told() -> None:
    schema = {"properties": {"a": {"items": {"type": "integer"}}}}
    assert str(validate_text('{"a": [1, "x"]}', schema)).startswith("At $.a[1]: ")


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "whatever"},
        {"minimum": "a"},
        {"pattern": "(?=a)b"},
        {"pattern": "("},
        {"$ref": "#/nowhere"},
        {"$ref": "http://127.0.0.1:1/"},
        {"$id": "http://127.0.0.1:1/x", "$ref": "y"},
        {"$schema": "http://127.0.0.1:1/"},
    ],
)
def test_a_schema_that_cannot_be_checked_is_refused(schema: dict[str, object]) -> None:
    with pytest.raises(SchemaError):
        check_against_draft(schema)
