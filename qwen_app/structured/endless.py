"""Schemas that require themselves, so that no document for them could ever end."""

from __future__ import annotations

from collections.abc import Iterator

from qwen_app.errors import SchemaError
from qwen_app.structured.schema_check import Schema, subschemas, target_of


def check_finite(schema: Schema) -> None:
    """Raises SchemaError, with the place, where every document for ``schema`` holds another that it requires.

    What only may be so counts as finite: it is compiled and searched all the same, which just takes longer.
    """
    parts = list(subschemas(schema))
    if not any("$ref" in part for _, part in parts):
        return
    finite = _finite_ones([part for _, part in reversed(parts)], schema)  # most lead to what stands below them
    if id(schema) in finite:
        return
    pointer = next(pointer for pointer, part in reversed(parts) if "$ref" in part and id(part) not in finite)
    raise SchemaError(
        f"The schema requires itself without end at {pointer or '/'}: no answer could be finished. "
        "Let it be null there, or leave it out of required.",
        pointer=pointer,
    )


def _finite_ones(parts: list[Schema], root: Schema) -> set[int]:
    """The ids of those that a finite document satisfies, found from the innermost outwards."""
    finite: set[int] = set()
    grown = True
    while grown:
        found = {id(part) for part in parts if id(part) not in finite and _is_finite(part, root, finite)}
        grown = bool(found)
        finite |= found
    return finite


def _is_finite(part: Schema, root: Schema, finite: set[int]) -> bool:
    if "const" in part or "enum" in part:
        return True
    chosen = (part[keyword] for keyword in ("anyOf", "oneOf") if isinstance(part.get(keyword), list))
    return all(_ends(child, finite) for child in _required(part, root)) and all(
        any(_ends(option, finite) for option in options) for options in chosen if isinstance(options, list)
    )


def _ends(child: object, finite: set[int]) -> bool:
    return not isinstance(child, dict) or id(child) in finite


def _required(part: Schema, root: Schema) -> Iterator[object]:
    """The schemas of which every document for ``part`` has to satisfy, or to hold, one each."""
    reference = part.get("$ref")
    if reference == "#" or (isinstance(reference, str) and reference.startswith("#/")):  # and no name of an anchor
        yield target_of(reference, root)
    others = part.get("allOf")
    yield from others if isinstance(others, list) else ()
    kinds = part.get("type")
    if kinds in ("object", ["object"]):
        yield from _required_values(part)
    elif kinds in ("array", ["array"]):
        yield from _required_items(part)


def _required_values(part: Schema) -> Iterator[object]:
    listed, required = part.get("properties"), part.get("required")
    if isinstance(listed, dict) and isinstance(required, list):
        yield from (listed[key] for key in required if isinstance(key, str) and key in listed)


def _required_items(part: Schema) -> Iterator[object]:
    least, items, first = part.get("minItems"), part.get("items"), part.get("prefixItems")
    if isinstance(items, list):  # as in draft 7
        first, items = items, None
    before = first if isinstance(first, list) else []
    if isinstance(least, int):
        yield from before[:least]
        if least > len(before):
            yield items
