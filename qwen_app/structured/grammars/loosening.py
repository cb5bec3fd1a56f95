"""The part of a schema that can be enforced, where nobody asked for all of it: what does not compile is left out.

Keyword by keyword and place by place, from the innermost schemas outwards, so that one pattern that no grammar knows
costs this pattern and nothing beside it. What is left allows all that the schema allows.
"""

from __future__ import annotations

from collections.abc import Callable

from qwen_app.errors import SchemaError
from qwen_app.structured.endless import check_finite
from qwen_app.structured.schema_check import LISTS, MANY, SINGLE, Schema, check_numbers, check_schema

SHARED = ("$defs", "definitions")  # what references from everywhere lead to
TRIES = 2_000  # of a request, some 0.2 ms each; what is left untried is left out

Compiles = Callable[[Schema], bool]


class Loosening:
    """Leaves out what ``compiles`` refuses, for one request: its schemas share the tries."""

    def __init__(self, compiles: Compiles) -> None:
        self._compiles = compiles
        self._tries = 0
        self._shared: Schema = {}

    def of(self, schema: Schema) -> Schema:
        """``schema`` without what does not compile; parts are tried together with the definitions they may refer to."""
        self._shared = {key: schema[key] for key in SHARED if isinstance(schema.get(key), dict)}
        self._shared = {key: self._value(key, value) for key, value in self._shared.items()}
        return {**self._shared, **self._part({key: value for key, value in schema.items() if key not in SHARED})}

    def _part(self, part: object) -> Schema:
        """``part`` with what compiles of it; any value at all where it is no schema."""
        if isinstance(part, bool):
            return {} if part else {"not": {}}
        if not isinstance(part, dict):
            return {}
        if self._holds(part):
            return part
        kept: Schema = {}
        for keyword, value in part.items():
            tried = {**kept, keyword: self._value(keyword, value)}
            if self._holds(tried):
                kept = tried
        return kept

    def _value(self, keyword: str, value: object) -> object:
        """The value of ``keyword`` with the schemas in it loosened."""
        if keyword in MANY and isinstance(value, dict):
            return {name: self._part(child) for name, child in value.items()}
        if (keyword in LISTS or keyword == "items") and isinstance(value, list):
            return [self._part(child) for child in value]
        return self._part(value) if keyword in SINGLE and isinstance(value, dict) else value

    def _holds(self, part: Schema) -> bool:
        self._tries += 1
        if self._tries > TRIES:
            return False
        whole = {**self._shared, **part}
        try:
            check_numbers(check_schema(part))
            check_finite(whole)
        except SchemaError:
            return False
        return self._compiles(whole)
