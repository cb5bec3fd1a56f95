from __future__ import annotations

import json
from typing import Any

import pytest

from qwen_app.errors import SchemaError
from qwen_app.structured.schema_bounds import LIMIT_DEPTH
from qwen_app.structured.schema_check import (
    LIMIT_BYTES,
    check_numbers,
    json_schema,
    parse_schema,
    subschemas,
)


def nested(depth: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "array"}
    for _ in range(depth - 1):
        schema = {"items": schema}
    return schema


def test_key_order_is_kept() -> None:
    assert list(parse_schema('{"properties": {"z": {}, "a": {}}}').schema["properties"]) == ["z", "a"]


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "null", '"x"', "false"])
def test_what_is_no_schema_is_refused(text: str) -> None:
    with pytest.raises(SchemaError):
        parse_schema(text)


def test_true_allows_anything() -> None:
    assert parse_schema("true").schema == {}


@pytest.mark.parametrize("keyword", ["$ref", "$dynamicRef"])
def test_a_remote_reference_is_refused_at_once(keyword: str) -> None:
    schema = {"properties": {"a": {"items": {keyword: "https://example.org/schema.json"}}}}
    with pytest.raises(SchemaError, match=r"leaves the schema") as refused:
        parse_schema(json.dumps(schema))
    assert refused.value.pointer == f"/properties/a/items/{keyword}"


def test_size_is_bounded() -> None:
    text = json.dumps({"description": "x" * LIMIT_BYTES})
    with pytest.raises(SchemaError, match="256 KB"):
        parse_schema(text)


def test_depth_is_bounded() -> None:
    parse_schema(json.dumps(nested(LIMIT_DEPTH)))
    for text in (json.dumps(nested(LIMIT_DEPTH + 1)), "[" * 100_000):
        with pytest.raises(SchemaError, match="deeper than 64"):
            parse_schema(text)


def test_only_schemas_are_walked() -> None:
    """Names of properties and values of enum are no keywords."""
    schema = {"properties": {"$ref": {"enum": [{"$ref": "http://example.org"}]}}, "enum": [{"not": {}}]}
    assert [pointer for pointer, _ in subschemas(schema)] == ["", "/properties/$ref"]
    parse_schema(json.dumps(schema))


def test_formats_are_told_apart_by_key_order_and_strictness() -> None:
    """A grammar enforces the order of keys: the cache of compiled grammars must not take one for the other."""
    first = parse_schema('{"properties": {"a": {}, "b": {}}}')
    assert first == json_schema({"properties": {"a": {}, "b": {}}})
    assert hash(first) == hash(json_schema({"properties": {"a": {}, "b": {}}}))
    assert first != parse_schema('{"properties": {"b": {}, "a": {}}}')
    assert first != json_schema({"properties": {"a": {}, "b": {}}}, strict=False)


@pytest.mark.parametrize(
    ("text", "pointer", "sentence"),
    [
        ('{"a": NaN}', "/a", "JSON has no NaN"),
        ('{"items": {"minimum": -Infinity}}', "/items/minimum", "infinite"),
        ('{"minimum": 1e400}', "/minimum", "too large"),
        ('{"enum": [1, 1e999]}', "/enum/1", "too large"),
        ('{"const": "\\ud83d"}', "/const", "half a character"),
        ('{"properties": {"\\ud800": {}}}', "/properties", "half a character"),
        ('{"const": "\\ude00\\ud83d"}', "/const", "half a character"),
    ],
)
def test_what_json_cannot_hold_is_named_by_its_place(text: str, pointer: str, sentence: str) -> None:
    with pytest.raises(SchemaError, match=sentence) as refused:
        parse_schema(text)
    assert refused.value.pointer == pointer
    assert "column" not in refused.value.message
    refused.value.message.encode()


def test_whole_characters_are_taken_as_they_are_escaped() -> None:
    assert parse_schema('{"const": "\\ud83d\\ude00"}').schema == {"const": "😀"}


@pytest.mark.parametrize(
    ("text", "kind"),
    [("[]", "an array"), ("3", "a number"), ("1.5", "a number"), ("null", "null"), ('"x"', "a string")],
)
def test_kinds_are_called_as_json_calls_them(text: str, kind: str) -> None:
    with pytest.raises(SchemaError) as refused:
        parse_schema(text)
    assert refused.value.message == f"A schema must be a JSON object, not {kind}."


def test_a_number_with_too_many_digits_is_refused_in_our_words() -> None:
    with pytest.raises(SchemaError, match="too many digits"):
        parse_schema('{"const": ' + "9" * 5000 + "}")


def test_integers_that_doubles_cannot_hold() -> None:
    check_numbers({"enum": [2**53, True, "x", None, 0.1, 1e-22], "maximum": 2**63 - 1, "exclusiveMinimum": -1e300})
    with pytest.raises(SchemaError) as refused:
        check_numbers({"items": {"const": {"a": [2**53 + 1]}}})
    assert refused.value.pointer == "/items/const"
    for beyond in ({"minimum": 2**63 - 1}, {"exclusiveMaximum": -1e300}, {"const": 1e300}, {"multipleOf": 1e300}):
        with pytest.raises(SchemaError, match="use a string"):
            check_numbers(beyond)


def test_fractions_that_doubles_read_as_a_neighbour() -> None:
    with pytest.raises(SchemaError, match="round it") as refused:
        check_numbers({"enum": [1, 123456789.123456789]})
    assert refused.value.pointer == "/enum"


def test_steps_of_more_remainders_than_a_grammar_can_tell_apart_are_refused() -> None:
    for step in (7, 997, 1_000_000, 86_400, 0.01, 2.5):
        check_numbers({"multipleOf": step})
    for odd in (1009, 1_000_003, 2_147_483_647, 0.123457):
        with pytest.raises(SchemaError, match="rounder") as refused:
            check_numbers({"items": {"multipleOf": odd}})
        assert refused.value.pointer == "/items/multipleOf"
