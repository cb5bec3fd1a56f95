"""Every dimension of a schema has a bound, and checking it costs no more than reading the schema."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwen_app.errors import SchemaError
from qwen_app.structured.schema_bounds import (
    LIMIT_ENUM_CHARS,
    LIMIT_LISTS,
    LIMIT_PATTERN_SIZE,
    check_bounds,
    check_pattern,
    is_plain,
    pattern_size,
)

STRING = {"type": "string"}


def nested(depth: int) -> object:
    schema: object = STRING
    for _ in range(depth):
        schema = {"items": schema}
    return schema


HOSTILE = {
    "required": {"required": [f"k{i}" for i in range(30_000)]},
    "keys": {"properties": {f"k{i}": STRING for i in range(30_000)}},
    "enum": {"enum": list(range(30_000))},
    "enum characters": {"enum": ["a" * 60_000, "b" * 60_000]},
    "const characters": {"const": "a" * 60_000},
    "alternatives": {"anyOf": [STRING] * 30_000},
    "one of": {"oneOf": [STRING] * 30_000},
    "all of": {"allOf": [STRING] * 30_000},
    "items": {"prefixItems": [STRING] * 30_000},
    "old items": {"items": [STRING] * 30_000},
    "types": {"type": ["string"] * 30_000},
    "depth": nested(100),
    "depth of nobody's keyword": {"x": nested(100)},
    "least items": {"type": "array", "minItems": 10**9},
    "least length": {"minLength": 10**12},
    "infinite length": {"minLength": float("inf")},
    "pattern": {"pattern": "a" * 30_000},
    "repeats": {"pattern": "(((a{256}){256}){256}){256}"},
    "a repeat": {"pattern": "a{999999999}"},
    "a repeat without end": {"pattern": "a{" + "9" * 1000},
    "pattern as a key": {"patternProperties": {"(a{256}){256}": STRING}},
    "reference": {"$ref": "http://127.0.0.1/x"},
    "reference under nobody's keyword": {"x": {"y": [{"$ref": "file:///etc/passwd"}]}},
    "reference in an example": {"examples": [{"$dynamicRef": "http://127.0.0.1/x"}]},
    "description": {"description": "a" * 200_000},
    "values": {"x": [[[]] * 5000] * 5},
}


@pytest.mark.slow
@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_too_large_is_refused_with_its_place(name: str) -> None:
    with pytest.raises(SchemaError):
        check_bounds(HOSTILE[name])


ONE_TOO_MANY = {
    **{keyword: {keyword: [f"k{number}" for number in range(most + 1)]} for keyword, most in LIMIT_LISTS.items()},
    "characters of a fixed value": {"enum": ["a" * (LIMIT_ENUM_CHARS + 1)]},
    "characters of a constant": {"const": "a" * (LIMIT_ENUM_CHARS + 1)},
}


@pytest.mark.parametrize("name", ONE_TOO_MANY)
def test_each_bound_holds_by_itself(name: str) -> None:
    """Just over it, where no other bound is reached."""
    with pytest.raises(SchemaError):
        check_bounds(ONE_TOO_MANY[name])


def test_what_people_write_passes() -> None:
    check_bounds({
        "type": "object",
        "properties": {
            "date": {"type": "string", "pattern": r"^\d{4}-\d{2}-\d{2}$"},
            "code": {"type": "string", "pattern": "^[A-Z]{2}([0-9]{3,10}|x{1,100})$"},
            "tags": {"type": "array", "items": {"enum": ["a", "b"]}, "minItems": 1, "maxItems": 1000},
            "$ref": {"type": "string"},
            "part": {"$ref": "#/$defs/part"},
        },
        "required": ["date"],
        "$defs": {"part": {"description": "x" * 2000}},
    })  # fmt: skip


@pytest.mark.parametrize(
    ("schema", "plain"),
    [
        ({"type": "object", "properties": {"pattern": STRING}, "required": ["pattern"]}, True),
        ({"properties": {"a": {"enum": ["x", "y"]}}}, True),
        ({"properties": {"a": {"pattern": "a"}}}, False),
        ({"properties": {"a": {"anyOf": [STRING]}}}, False),
        ({"properties": []}, False),
        ({"enum": list(range(1000))}, False),
        ({"items": {"enum": ["x" * 900]}}, False),
    ],
)
def test_a_plain_schema_is_told_apart(schema: object, plain: bool) -> None:
    assert is_plain(schema) is plain


@pytest.mark.parametrize(
    ("pattern", "size"),
    [
        ("", 0),
        ("abc", 3),
        ("a{3}", 3),
        ("a{2,5}b", 6),
        ("a{2,}", 2),
        ("(ab){3}", 6),
        ("((a{2}){3}){4}", 24),
        (r"\{3}", 3),
        ("[{3}]", 1),
        ("[]{3}]", 1),
        (r"[\]{3}]x", 2),
        ("{x}", 3),
        ("a{x}", 4),
        ("(", 0),
        (")", 1),
    ],
)
def test_repeats_are_written_out(pattern: str, size: int) -> None:
    assert pattern_size(pattern) == size


@given(st.text(alphabet="ab(){}[]\\,0123456789^$|*+?", max_size=60))
def test_any_pattern_is_measured_or_refused(pattern: str) -> None:
    assert pattern_size(pattern) >= 0
    try:
        check_pattern("/pattern", pattern)
    except SchemaError:
        assert pattern_size(pattern) > LIMIT_PATTERN_SIZE


KEYS = st.sampled_from([*HOSTILE, "enum", "pattern", "$ref", "required"])
json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=20,
)


@given(json_values)
def test_any_value_is_taken_or_refused(value: object) -> None:
    with suppress(SchemaError):
        check_bounds(value)
