"""Random JSON Schemas: leaves drawn by hypothesis-jsonschema from descriptions of them, nested by hypothesis."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis_jsonschema import from_schema

COUNT = {"type": "integer", "minimum": 0, "maximum": 6}
FORMATS = ["date", "time", "date-time", "uuid", "ipv4", "ipv6", "email", "hostname", "uri", "duration"]
PATTERNS = ["^[a-z]{2,5}$", "^\\d{3}-\\d{4}$", "^(ja|nein|vielleicht)$", "^[A-Z][a-z]+( [A-Z][a-z]+)*$", "x", "^a*b+c$"]
VALUES = {"type": ["string", "integer", "boolean", "null"], "maxLength": 12}


def _leaf(type_name: Any, **keywords: Any) -> st.SearchStrategy[dict[str, Any]]:
    optional = {name: from_schema(described) for name, described in keywords.items()}
    return st.fixed_dictionaries({"type": st.just(type_name)}, optional=optional)


def _between(low: float, high: float, kind: str = "integer") -> dict[str, Any]:
    return {"type": kind, "minimum": low, "maximum": high}


leaves = st.one_of(
    _leaf("string", minLength=COUNT),
    _leaf("string", maxLength=COUNT),
    _leaf("string", pattern={"enum": PATTERNS}),
    _leaf("string", format={"enum": FORMATS}),
    _leaf("string", description={"type": "string"}),
    _leaf("integer", minimum=_between(-2000, 2000)),
    _leaf("integer", minimum=_between(-50, 0), maximum=_between(1, 50)),
    _leaf("integer", multipleOf=_between(1, 12)),
    _leaf("number", maximum=_between(-5, 5000, "number")),
    _leaf("number", exclusiveMinimum=_between(-5, 5)),
    *(_leaf(type_name) for type_name in ("boolean", "null", ["string", "null"], "object", "array")),
    st.fixed_dictionaries({"enum": from_schema({"type": "array", "items": VALUES, "minItems": 1, "maxItems": 5})}),
    st.fixed_dictionaries({"const": from_schema(VALUES)}),
)
names = st.text(max_size=8) | st.sampled_from(["name", "a/b", "~", 'quo"te', "键", "id", "not", "enum"])


def _object(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    def build(properties: dict[str, Any], required: list[bool], closed: bool) -> dict[str, Any]:
        chosen = [key for key, wanted in zip(properties, required, strict=False) if wanted]
        schema: dict[str, Any] = {"type": "object", "properties": properties, "required": chosen}
        return {**schema, "additionalProperties": False} if closed else schema

    listed = st.dictionaries(names, inner, max_size=4)
    return st.builds(build, listed, st.lists(st.booleans(), min_size=4, max_size=4), st.booleans())


def _array(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    def build(items: Any, least: int, more: int | None) -> dict[str, Any]:
        schema = {"type": "array", "items": items, "minItems": least}
        return schema if more is None else {**schema, "maxItems": least + more}

    return st.builds(build, inner, st.integers(0, 3), st.none() | st.integers(0, 3))


def _combined(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.builds(lambda parts: {"anyOf": parts}, st.lists(inner, min_size=1, max_size=3))


schemas = st.recursive(leaves, lambda inner: _object(inner) | _array(inner) | _combined(inner), max_leaves=8)
