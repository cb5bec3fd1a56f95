"""A minimal instance of a JSON Schema, made by reading the schema: a guess that the grammar then confirms.

Reading finds the shortest of several choices where following the grammar byte by byte takes the first. It also tells
how much text one token can force: opening an object forces all of its required keys.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction

from qwen_app.structured.closing.minimal_match import minimal_match
from qwen_app.structured.schema_check import Schema, subschemas, target_of

LIMIT_CHARS = 65_536
FEW_VALUES = 16
MANY_STEPS = 256  # of multipleOf, each of which is tried for every number
COMPLETION_CHARS = 1_024  # every end of a completion is tried: the work grows with the square of its length
# What stands for text that a pattern or format decides, and for numbers within bounds.
UNKNOWN_TEXT = '"' + "x" * 30 + '"'
# Short texts of formats: not found by taking the first character that is legal, or else a year that is none.
FORMATS = {
    "date": "2000-01-01",
    "date-time": "2000-01-01T00:00:00Z",
    "duration": "P0D",
    "email": "a@a",
    "hostname": "a",
    "ipv4": "0.0.0.0",
    "ipv6": "::",
    "time": "00:00:00Z",
    "uri": "a:",
    "uuid": "aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa",
}
UNKNOWN_NUMBER = "1" * 12


def minimal_instance(schema: Schema) -> str | None:
    """A small document for ``schema``, probably valid; None when a reference leads in circles."""
    return _Instances(schema).of(schema)


def max_forced_text(schema: Schema) -> str:
    """About the longest text that one token can force: the largest of all parts, whatever is chosen."""
    instances = _Instances(schema, max)
    return max((instances.of(part) or "" for _, part in subschemas(schema)), key=len)


def string_completions(schema: Schema) -> tuple[bytes, ...]:
    """How strings that a pattern, a format or an enum holds open may end, closing quote included."""
    texts = {_string(part) for _, part in subschemas(schema) if {"pattern", "format"} & part.keys()}
    values = [value for _, part in subschemas(schema) for value in _list(part, "enum") if isinstance(value, str)]
    texts.update(sorted(map(_dumps, values), key=len)[:FEW_VALUES])
    return tuple(text[1:COMPLETION_CHARS].encode(errors="ignore") for text in sorted(texts))


def number_steps(schema: Schema) -> tuple[Fraction, ...]:
    """What numbers may have to be multiples of."""
    steps = (part.get("multipleOf") for _, part in subschemas(schema))
    found = {Fraction(repr(step)) for step in steps if isinstance(step, int | float) and step > 0}
    return tuple(sorted(found)[:MANY_STEPS])


def open_ended(schema: Schema) -> bool:
    """Whether how far off the end of a string is can change with any token: a pattern or format decides."""
    return any({"pattern", "format"} & part.keys() for _, part in subschemas(schema))


def _list(schema: Schema, keyword: str) -> list[object]:
    value = schema.get(keyword)
    return value if isinstance(value, list) else []


def _dict(schema: Schema, keyword: str) -> Schema:
    value = schema.get(keyword)
    return value if isinstance(value, dict) else {}


class _Instances:
    def __init__(self, root: Schema, pick: Callable[..., str | None] = min) -> None:
        """``pick`` chooses between several texts: the shortest, or the longest."""
        self._root = root
        self._pick = pick
        self._known: dict[int, str | None] = {}

    def of(self, schema: object) -> str | None:
        if not isinstance(schema, dict):
            return None if schema is False else "0"
        key = id(schema)
        if key not in self._known:
            self._known[key] = None  # a reference that comes back here has no finite answer on this way
            text = self._made(schema)
            self._known[key] = text if text is None else text[:LIMIT_CHARS]
        return self._known[key]

    def _made(self, schema: Schema) -> str | None:
        if "const" in schema:
            return _dumps(schema["const"])
        if isinstance(schema.get("enum"), list):
            return self._picked([_dumps(value) for value in _list(schema, "enum")])
        if isinstance(reference := schema.get("$ref"), str):
            target = target_of(reference, self._root)
            return None if target is None else self.of(target)
        for keyword in ("anyOf", "oneOf"):
            if isinstance(schema.get(keyword), list):
                return self._picked([self.of(option) for option in _list(schema, keyword)])
        if isinstance(schema.get("allOf"), list):
            return self._made(_merged(schema))
        return self._picked([self._typed(schema, name) for name in _types(schema)])

    def _picked(self, texts: Sequence[str | None]) -> str | None:
        return self._pick((text for text in texts if text is not None), key=len, default=None)

    def _typed(self, schema: Schema, name: str) -> str | None:
        match name:
            case "object":
                return self._object(schema)
            case "array":
                return self._array(schema)
            case "string":
                return _string(schema)
            case "boolean":
                return "true"
            case "null":
                return "null"
            case _:
                bounds = {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}
                return UNKNOWN_NUMBER if bounds & schema.keys() else "0"

    def _object(self, schema: Schema) -> str | None:
        listed = _dict(schema, "properties")
        required = [key for key in _list(schema, "required") if isinstance(key, str)]
        keys = [key for key in listed if key in required] + [key for key in required if key not in listed]
        other = schema.get("additionalProperties", True)
        values = ((key, self.of(listed.get(key, other))) for key in keys)
        return _joined("{}", (None if value is None else f"{_dumps(key)}:{value}" for key, value in values))

    def _array(self, schema: Schema) -> str | None:
        first = _list(schema, "prefixItems")
        items = schema.get("items", True)
        count = min(_count(schema, "minItems"), LIMIT_CHARS // 2)
        return _joined("[]", (self.of(first[index] if index < len(first) else items) for index in range(count)))


def _joined(brackets: str, texts: Iterable[str | None]) -> str | None:
    """``texts`` within ``brackets``; None where one of them is None."""
    parts: list[str] = []
    room_chars = LIMIT_CHARS
    for text in texts:
        if text is None:
            return None
        parts.append(text)
        room_chars -= len(text) + 1
        if room_chars < 0:
            break  # what is longer is cut all the same, and then no instance
    return brackets[0] + ",".join(parts) + brackets[1]


def _string(schema: Schema) -> str:
    if isinstance(pattern := schema.get("pattern"), str):
        text = minimal_match(pattern)
        return UNKNOWN_TEXT if text is None else _dumps(text)
    if "format" in schema:
        text = FORMATS.get(str(schema["format"]))
        return UNKNOWN_TEXT if text is None else _dumps(text)
    return '"' + "a" * min(_count(schema, "minLength"), LIMIT_CHARS) + '"'


def _types(schema: Schema) -> list[str]:
    declared = schema.get("type")
    if isinstance(declared, str):
        return [declared]
    if isinstance(declared, list):
        return [name for name in declared if isinstance(name, str)]
    if {"properties", "required", "additionalProperties"} & schema.keys():
        return ["object"]
    return ["array"] if {"items", "prefixItems", "minItems"} & schema.keys() else ["number"]


def _merged(schema: Schema) -> Schema:
    """``schema`` with the parts of its allOf laid over each other."""
    whole: Schema = {key: value for key, value in schema.items() if key != "allOf"}
    for part in _list(schema, "allOf"):
        if isinstance(part, dict):
            properties = _dict(whole, "properties") | _dict(part, "properties")
            required = [*_list(whole, "required"), *_list(part, "required")]
            whole = {**whole, **part, "properties": properties, "required": list(dict.fromkeys(map(str, required)))}
    if not whole.get("properties") and not whole.get("required"):
        whole = {key: value for key, value in whole.items() if key not in ("properties", "required")}
    return whole


def _count(schema: Schema, keyword: str) -> int:
    value = schema.get(keyword, 0)
    return int(value) if isinstance(value, int | float) and value > 0 else 0


def _dumps(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
