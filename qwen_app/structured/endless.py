"""Schemas that require themselves, so that no document for them could ever end."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from qwen_app.errors import SchemaError
from qwen_app.structured.schema_check import Schema, subschemas, target_of


def check_finite(schema: Schema) -> None:
    """Raises SchemaError, with the place, where every document for ``schema`` holds another that it requires.

    What only may be so counts as finite: it is compiled and searched all the same, which just takes longer.
    """
    parts = list(subschemas(schema))
    if not any("$ref" in part for _, part in parts):
        return
    finite = _finite_ones([part for _, part in parts], schema)
    if id(schema) in finite:
        return
    pointer = next(pointer for pointer, part in reversed(parts) if "$ref" in part and id(part) not in finite)
    raise SchemaError(
        f"The schema requires itself without end at {pointer or '/'}: no answer could be finished. "
        "Let it be null there, or leave it out of required.",
        pointer=pointer,
    )


@dataclass(slots=True)
class _Need:
    """What the schema ``of`` needs for a finite document, until one of several others is found to have one."""

    of: int
    open: bool = True


def _finite_ones(parts: list[Schema], root: Schema) -> set[int]:
    """The ids of those that a finite document satisfies, found from the innermost outwards: each once, and each need
    once, as of Horn clauses by Dowling and Gallier (1984)."""
    waiting: dict[int, list[_Need]] = defaultdict(list)
    open_needs: Counter[int] = Counter()
    for part in parts:
        for options in _needs(part, root):
            if all(isinstance(option, dict) for option in options):  # others, such as true, are met as they are
                open_needs[id(part)] += 1
                need = _Need(id(part))
                for option in options:
                    waiting[id(option)].append(need)
    found = [id(part) for part in parts if not open_needs[id(part)]]
    finite: set[int] = set()
    while found:
        finite.add(one := found.pop())
        for need in waiting[one]:
            if need.open:
                need.open = False
                open_needs[need.of] -= 1
                if not open_needs[need.of]:
                    found.append(need.of)
    return finite


def _needs(part: Schema, root: Schema) -> Iterator[list[object]]:
    """For each the schemas of which one must have a finite document."""
    if "const" in part or "enum" in part:
        return
    yield from ([child] for child in _required(part, root))
    for keyword in ("anyOf", "oneOf"):
        options = part.get(keyword)
        if isinstance(options, list):
            yield options


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
