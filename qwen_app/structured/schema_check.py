"""What a JSON Schema must satisfy before it is compiled, and where in it a problem sits."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

from qwen_app.errors import SchemaError
from qwen_app.messages import JsonSchema
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

Schema = dict[str, object]


def parse_schema(text: str, *, strict: bool = True) -> JsonSchema:
    """The answer format that the JSON ``text`` of a schema asks for, key order kept. Raises SchemaError."""
    if len(text.encode(errors="surrogatepass")) > LIMIT_BYTES:
        raise _too_large()
    try:
        schema: object = json.loads(text)
    except ValueError as error:
        raise SchemaError(f"The schema is not valid JSON: {error}.") from error
    except RecursionError:
        raise _too_deep() from None
    return json_schema(schema, strict=strict)


def json_schema(schema: object, *, strict: bool = True) -> JsonSchema:
    """The answer format that ``schema``, a JSON value, asks for. Raises SchemaError with the pointer of what is wrong.

    This and ``parse_schema`` are where schemas come in from outside; past here a ``JsonSchema`` is taken at its word.
    """
    spec = JsonSchema(check_schema(schema), strict)
    if len(spec.text.encode(errors="surrogatepass")) > LIMIT_BYTES:
        raise _too_large()
    return spec


def check_schema(schema: object) -> Schema:
    """Refuse what is no schema, what nothing satisfies, what is too deep, and references that leave the document."""
    if depth_of(schema) > LIMIT_DEPTH:
        raise _too_deep()
    if schema is True:
        return {}
    if schema is False:
        raise SchemaError("The schema false allows no answer at all.")
    if not isinstance(schema, dict):
        raise SchemaError(f"A schema must be a JSON object, not {type(schema).__name__}.")
    for pointer, part in subschemas(schema):
        _check_references(pointer, part)
    return schema


def _too_large() -> SchemaError:
    return SchemaError(f"The schema is larger than {LIMIT_BYTES // 1024} KB. Split it or leave out descriptions.")


def _too_deep() -> SchemaError:
    return SchemaError(f"The schema is nested deeper than {LIMIT_DEPTH} levels. Flatten it or use $defs.")


def _check_references(pointer: str, part: Schema) -> None:
    for keyword in REFERENCES:
        target = part.get(keyword)
        if isinstance(target, str) and not target.startswith("#"):
            raise SchemaError(
                f"{keyword} at {pointer}/{keyword} leaves the schema ({target[:80]}). "
                "Only references within it (#/...) are followed: copy the other schema into $defs.",
                pointer=f"{pointer}/{keyword}",
            )


def check_integers(schema: Schema) -> None:
    """Refuse integers beyond 2**53: the grammar counts in doubles, and would take a neighbour for the number."""
    for pointer, part in subschemas(schema):
        for keyword in NUMBERS:
            for value in _plain_values(part.get(keyword)):
                if isinstance(value, int) and abs(value) > LIMIT_INTEGER:
                    raise SchemaError(
                        f"{keyword} at {pointer}/{keyword} holds {str(value)[:40]}. "
                        "Integers beyond 2^53 cannot be enforced exactly: use a string.",
                        pointer=f"{pointer}/{keyword}",
                    )


def _plain_values(value: object) -> Iterator[object]:
    """All in ``value`` that is neither object nor array."""
    waiting = [value]
    while waiting:
        inner = waiting.pop()
        if isinstance(inner, dict | list):
            waiting.extend(inner.values() if isinstance(inner, dict) else inner)
        else:
            yield inner


def children(schema: Schema) -> Iterator[tuple[str, object]]:
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
    pointer, tries, moved = "", 0, True
    part: Schema = schema
    while moved:
        moved = False
        for step, child in children(part):
            tries += 1
            if tries > LOCATE_TRIES:
                return pointer, problem
            if not isinstance(child, dict):
                continue
            inner = compile_problem({**shared, **child})
            if inner and (inner == problem or (_unsatisfiable(inner) and _unsatisfiable(problem))):
                pointer, part, problem, moved = pointer + step, child, inner, True
                break
    return pointer, problem


def _unsatisfiable(problem: str) -> bool:
    return problem.startswith("Unsatisfiable schema")
