"""What a JSON Schema must satisfy before it is compiled, and where in it a problem sits."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from qwen_app.errors import SchemaError
from qwen_app.structured.json_text import depth_of

LIMIT_BYTES = 256 * 1024
LIMIT_DEPTH = 64
LIMIT_INTEGER = 2**53
LOCATE_TRIES = 300

MANY = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas", "dependencies")
LISTS = ("allOf", "anyOf", "oneOf", "prefixItems")
SINGLE = (
    *("items", "additionalItems", "additionalProperties", "unevaluatedItems", "unevaluatedProperties", "contains"),
    *("propertyNames", "not", "if", "then", "else"),
)
NUMBERS = ("const", "enum", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")
REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")

Schema = dict[str, Any]


def parse_schema(text: str) -> Schema:
    """``text`` as a schema with its key order kept. Raises SchemaError for what is refused at once."""
    if len(text.encode()) > LIMIT_BYTES:
        raise SchemaError(f"The schema is larger than {LIMIT_BYTES // 1024} KB. Split it or leave out descriptions.")
    try:
        schema = json.loads(text)
        depth = depth_of(schema)
    except ValueError as error:
        raise SchemaError(f"The schema is not valid JSON: {error}.") from error
    except RecursionError:
        depth = LIMIT_DEPTH + 1
    if depth > LIMIT_DEPTH:
        raise SchemaError(f"The schema is nested deeper than {LIMIT_DEPTH} levels. Flatten it or use $defs.")
    return check_schema(schema)


def check_schema(schema: Any) -> Schema:
    """Refuse what is no schema, what nothing satisfies, and references that leave the document."""
    if schema is True:
        return {}
    if schema is False:
        raise SchemaError("The schema false allows no answer at all.")
    if not isinstance(schema, dict):
        raise SchemaError(f"A schema must be a JSON object, not {type(schema).__name__}.")
    for pointer, part in subschemas(schema):
        _check_references(pointer, part)
        _check_integers(pointer, part)
    return schema


def _check_references(pointer: str, part: Schema) -> None:
    for keyword in REFERENCES:
        target = part.get(keyword)
        if isinstance(target, str) and not target.startswith("#"):
            raise SchemaError(
                f"{keyword} at {pointer}/{keyword} leaves the schema ({target[:80]}). "
                "Only references within it (#/...) are followed: copy the other schema into $defs.",
                pointer=f"{pointer}/{keyword}",
            )


def _check_integers(pointer: str, part: Schema) -> None:
    """The grammar counts in doubles: beyond 2**53 it would take a neighbour for the number asked for."""
    for keyword in NUMBERS:
        waiting = [part.get(keyword)]
        while waiting:
            value = waiting.pop()
            if isinstance(value, dict | list):
                waiting.extend(value.values() if isinstance(value, dict) else value)
            elif isinstance(value, int) and abs(value) > LIMIT_INTEGER:
                raise SchemaError(
                    f"{keyword} at {pointer}/{keyword} holds {str(value)[:40]}. "
                    "Integers beyond 2^53 cannot be enforced exactly: use a string.",
                    pointer=f"{pointer}/{keyword}",
                )


def children(schema: Schema) -> Iterator[tuple[str, Any]]:
    """The schemas directly inside ``schema``, each with its JSON pointer from there."""
    for keyword, value in schema.items():
        if keyword in MANY and isinstance(value, dict):
            yield from ((f"/{keyword}/{escape(key)}", child) for key, child in value.items())
        elif (keyword in LISTS or keyword == "items") and isinstance(value, list):
            yield from ((f"/{keyword}/{index}", child) for index, child in enumerate(value))
        elif keyword in SINGLE:
            yield f"/{keyword}", value


def subschemas(schema: Schema) -> Iterator[tuple[str, Schema]]:
    """``schema`` and every schema inside it, each with its JSON pointer. Boolean schemas are left out."""
    waiting = [("", schema)]
    while waiting:
        pointer, part = waiting.pop()
        yield pointer, part
        waiting.extend((pointer + step, child) for step, child in children(part) if isinstance(child, dict))


def escape(key: str) -> str:
    """``key`` as one part of a JSON pointer (RFC 6901)."""
    return key.replace("~", "~0").replace("/", "~1")


def locate(schema: Schema, problem: str, compile_problem: Callable[[Schema], str]) -> tuple[str, str]:
    """JSON pointer of the smallest part of ``schema`` that alone has the same ``problem``, and the problem there.

    ``compile_problem`` compiles a schema and returns what is wrong with it. The pointer "" is the whole.
    """
    shared: Schema = {key: schema[key] for key in ("$schema", "$defs", "definitions") if key in schema}
    pointer, part, tries, moved = "", schema, 0, True
    while moved:
        moved = False
        for step, child in children(part):
            tries += 1
            if tries > LOCATE_TRIES:
                return pointer, problem
            inner = compile_problem({**shared, **child}) if isinstance(child, dict) else ""
            if inner and (inner == problem or (_unsatisfiable(inner) and _unsatisfiable(problem))):
                pointer, part, problem, moved = pointer + step, child, inner, True
                break
    return pointer, problem


def _unsatisfiable(problem: str) -> bool:
    return problem.startswith("Unsatisfiable schema")
