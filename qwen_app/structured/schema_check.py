"""What a JSON Schema must satisfy before it is compiled, and where in it a problem sits."""

from __future__ import annotations

import copy
import json
from collections import deque
from collections.abc import Callable, Iterator
from decimal import Decimal
from urllib.parse import unquote

from qwen_app.errors import SchemaError
from qwen_app.messages import JsonSchema
from qwen_app.structured.schema_bounds import COUNTS, check_bounds, escape, too_deep

LIMIT_BYTES = 256 * 1024
LIMIT_INTEGER = 2**53
LIMIT_REMAINDERS = 1_000  # that a grammar has to tell apart for multipleOf, a state each
LOCATE_TRIES = 300

MANY = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas", "dependencies")
LISTS = ("allOf", "anyOf", "oneOf", "prefixItems")
SINGLE = (
    *("items", "additionalItems", "additionalProperties", "unevaluatedItems", "unevaluatedProperties", "contains"),
    *("propertyNames", "not", "if", "then", "else"),
)
NUMBERS = ("const", "enum", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")
OUTWARDS = {"maximum": 1, "exclusiveMaximum": 1, "minimum": -1, "exclusiveMinimum": -1}

# As JSON calls them.
KINDS = {list: "an array", str: "a string", int: "a number", float: "a number", type(None): "null"}

Schema = dict[str, object]


def parse_schema(text: str, *, strict: bool = True) -> JsonSchema:
    """The answer format that the JSON ``text`` of a schema asks for, key order kept. Raises SchemaError."""
    if len(text.encode(errors="surrogatepass")) > LIMIT_BYTES:
        raise _too_large()
    return json_schema(read_json(text, "The schema is"), strict=strict)


def read_json(text: str, what: str) -> object:
    """The JSON value that somebody wrote as ``text``. Raises SchemaError with a sentence that begins with ``what``."""
    try:
        value: object = json.loads(text)
    except json.JSONDecodeError as error:
        raise SchemaError(f"{what} not valid JSON: {error.msg}: line {error.lineno}, column {error.colno}.") from error
    except ValueError as error:  # of JSON alone: Python reads no longer integers
        raise SchemaError(f"{what} not used: a number in it has too many digits.") from error
    except RecursionError:
        raise too_deep(what) from None
    return value


def json_schema(schema: object, *, strict: bool = True) -> JsonSchema:
    """The answer format that ``schema``, a JSON value, asks for. Raises SchemaError with the pointer of what is wrong.

    This and ``parse_schema`` are where schemas come in from outside; past here a ``JsonSchema`` is taken at its word.
    """
    spec = JsonSchema(check_schema(schema), strict)
    if len(spec.text.encode(errors="surrogatepass")) > LIMIT_BYTES:
        raise _too_large()
    return spec


def check_schema(schema: object) -> Schema:
    """Refuse what is no schema, what nothing satisfies, and what is larger than its bounds (see ``schema_bounds``).

    Returns ``schema`` with counts as integers: 2.0 is one in JSON Schema, and what Java's libraries write.
    """
    check_bounds(schema)
    if schema is True:
        return {}
    if schema is False:
        raise SchemaError("The schema false allows no answer at all.")
    if not isinstance(schema, dict):
        raise SchemaError(f"A schema must be a JSON object, not {KINDS.get(type(schema), 'this')}.")
    return _with_whole_counts(schema)


def _with_whole_counts(schema: Schema) -> Schema:
    if not any(_broken_counts(part) for _, part in subschemas(schema)):
        return schema
    changed = copy.deepcopy(schema)
    for _, part in subschemas(changed):
        part.update(_broken_counts(part))
    return changed


def _broken_counts(part: Schema) -> dict[str, int]:
    """Its counts that are whole and written with a point, as integers."""
    counts = {keyword: part[keyword] for keyword in COUNTS if keyword in part}
    return {keyword: int(count) for keyword, count in counts.items() if isinstance(count, float) and count.is_integer()}


def _too_large() -> SchemaError:
    return SchemaError(f"The schema is larger than {LIMIT_BYTES // 1024} KB. Split it or leave out descriptions.")


def check_numbers(schema: Schema) -> None:
    """Refuse numbers for which the grammar, which counts in doubles, would take a neighbour, or grow too large."""
    for pointer, part in subschemas(schema):
        for keyword in NUMBERS:
            for value in _plain_values(part.get(keyword)):
                if isinstance(value, int | float) and (problem := _inexact(keyword, value)):
                    raise SchemaError(
                        f"{keyword} at {pointer}/{keyword} holds {str(value)[:40]}. {problem}",
                        pointer=f"{pointer}/{keyword}",
                    )


def _inexact(keyword: str, value: float) -> str:
    if abs(value) > LIMIT_INTEGER:
        return "" if is_far_bound(keyword, value) else "Integers beyond 2^53 cannot be enforced exactly: use a string."
    if keyword in ("const", "enum") and isinstance(value, float) and _as_read(value) != value:
        return "A fraction of so many digits cannot be enforced exactly: round it, or use a string."
    if keyword == "multipleOf" and _remainders(value) > LIMIT_REMAINDERS:
        return "Multiples of so odd a number cannot be enforced: use a rounder one."
    return ""


def _remainders(step: float) -> int:
    """By how many remainders of ``step`` a number's digits decide. Its twos and fives go with the last few digits."""
    digits = int("".join(map(str, Decimal(repr(step)).as_tuple().digits)))
    for factor in (2, 5):
        while digits and digits % factor == 0:
            digits //= factor
    return digits


def is_far_bound(keyword: str, value: object) -> bool:
    """Whether ``value`` bounds what lies beyond 2**53: no number that the grammar counts to exceeds it."""
    return isinstance(value, int | float) and value * OUTWARDS.get(keyword, 0) > LIMIT_INTEGER


def _as_read(value: float) -> float:
    """``value`` as llguidance reads it: its digits times a power of ten, each rounded (serde_json's quick way)."""
    sign, digits, exponent = Decimal(repr(value)).as_tuple()
    power = float(f"1e{abs(int(exponent))}")
    whole = float((-1) ** sign * int("".join(map(str, digits))))
    return whole / power if int(exponent) < 0 else whole * power


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
    """``schema`` and every schema inside it, each with its JSON pointer. Boolean schemas are left out.

    A reference may lead to where no keyword has schemas, as OpenAPI's ``#/components/schemas/Pet`` does.
    """
    waiting, met = deque([("", schema)]), set[int]()
    while waiting:
        pointer, part = waiting.pop()
        if id(part) in met:
            continue
        met.add(id(part))
        yield pointer, part
        waiting.extend((pointer + step, child) for step, child in children(part) if isinstance(child, dict))
        reference = part.get("$ref")
        if isinstance(reference, str) and isinstance(target := target_of(reference, schema), dict):
            waiting.appendleft((reference.removeprefix("#"), target))  # last: keywords may lead there too


def target_of(reference: str, root: Schema) -> object:
    """What the pointer ``reference``, such as ``#/$defs/a``, leads to in ``root``; None where it leads nowhere."""
    place: object = root
    pointer = unquote(reference) if "%" in reference else reference
    for part in pointer.removeprefix("#").split("/")[1:]:
        step = part.replace("~1", "/").replace("~0", "~")
        if isinstance(place, list):
            place = place[int(step)] if step.isdecimal() and int(step) < len(place) else None
        else:
            place = place.get(step) if isinstance(place, dict) else None
    return place


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
