"""What llguidance takes and does not hold to the letter: asked for in other words, or refused.

- Of two bounds with less than one between them, a whole one that is excluded is taken itself, such as 0 of
  ``{"exclusiveMinimum": 0, "maximum": 0.5}``. So such a bound is moved inwards by next to nothing, and included.
- A key that is not declared may be written in escapes, so also one that is: ``"\\u0061"`` for ``"a"``. So where keys
  are open, characters stand for themselves; but not where the schema holds characters that can only be written in
  escapes, which would be left out of its texts without a word.
- In the classes of patterns, ``[``, ``&&``, ``--`` and ``~~`` make sets of sets, and are plain characters in
  JSON Schema's: ``[[:alpha:]]`` took any letter, and ``[a&&b]`` nothing. So they are escaped, and so is a
  hyphen beside ``\\w`` and the like, as in ``[.-\\w]``: nothing satisfied that.
- Of a class that holds all of ``\\b\\f\\n\\r\\t`` it takes every short escape: ``[^"]`` took a quotation mark, and
  ``[^\\\\]`` a backslash. So it is asked for without the form feed, which nobody misses.
- Beside ``additionalItems``, which no draft knows together with them, ``prefixItems`` are forgotten. So these stay.
- Bounds beyond 2**53, as ``9223372036854775807``, are counted in too few bits: ``2**60`` took what exceeds it. So no
  number goes beyond 2**53 where one of them stands.
- Of dates and times, ``calendar.py`` has the rest.
- ``minProperties`` counts a key that is written twice as two. So more of them than surely differ are refused.
"""

from __future__ import annotations

import copy
import json
import math
import re

from qwen_app.errors import SchemaError
from qwen_app.structured.closing.minimal_match import with_plain_hyphens
from qwen_app.structured.grammars.calendar import pattern_of
from qwen_app.structured.schema_check import LIMIT_INTEGER, OUTWARDS, Schema, is_far_bound, subschemas

BOUNDS = (("exclusiveMinimum", "minimum", 1), ("exclusiveMaximum", "maximum", -1))
COMBINING = ("allOf", "anyOf", "oneOf", "$ref")
FIRST_AND_MORE = frozenset({"prefixItems", "additionalItems"})  # of two drafts
CHANGED = frozenset({"pattern", "patternProperties", "additionalItems", "format", *OUTWARDS})  # whatever may be
CLASS = re.compile(r"\\.|\[(\^?)(\]?(?:\\.|[^\]\\])*)(\]?)", re.DOTALL)  # or an escape, which begins none
RANGE = re.compile(r"(\\.|.)(?:(-)(\\.|.))?", re.DOTALL)  # of characters in a class, or one of them
BEGINS_SET = re.compile(r"[\[&~-]")
MAY_HOLD_CONTROLS = re.compile(r"\\[xu]|[\x00-\x08]")  # a class that is not negated
CONTROL = re.compile(r"\\u00[01]|\x7f|\\\\[xu0]")  # as JSON writes it, or a pattern
SHORT_ESCAPES = 'nrbtf\\"'  # all of JSON's but \u
DIGITS = 15  # that a number keeps
DIGITS_WITHIN = 9  # of the room between two bounds: what is lost beside an excluded one


def narrowed(schema: Schema) -> Schema:
    """``schema`` as llguidance must be told it: excluded whole bounds moved inwards, where they would be taken
    themselves, and those beyond 2**53 to there, dates that are, patterns whose classes are plain ones, and first items
    alone."""
    parts = [part for _, part in subschemas(schema)]
    combines = any(keyword in part for part in parts for keyword in COMBINING)
    if not any(any(_changes(part, combines=combines)) for part in parts if not CHANGED.isdisjoint(part)):
        return schema  # as most are: a copy for each of many tries would take longer than they do
    changed = copy.deepcopy(schema)
    for _, part in subschemas(changed):
        dropped, told = _changes(part, combines=combines)
        for keyword in dropped:
            del part[keyword]
        part.update(told)
    return changed


def _changes(part: Schema, *, combines: bool) -> tuple[set[str], Schema]:
    """The keywords that ``part`` is told without, and those that it is told instead."""
    far: Schema = {bound: LIMIT_INTEGER * OUTWARDS[bound] for bound in part if is_far_bound(bound, part[bound])}
    told = {**_plain_patterns(part), **far}
    dropped = {"additionalItems"} if part.keys() >= FIRST_AND_MORE else set()
    for excluded, included, bound in _moved({**part, **far}, combines=combines):
        dropped.add(excluded)
        told[included] = bound
    if (pattern := pattern_of(part)) is not None:
        dropped.add("format")
        others = part.get("allOf")  # all are asked for at once, and a pattern of its own is kept
        told["allOf"] = [*(others if isinstance(others, list) else []), {"pattern": pattern}]
    return dropped, {keyword: value for keyword, value in told.items() if keyword not in dropped}


def _plain_patterns(part: Schema) -> Schema:
    """Its keywords of patterns with what would make sets of sets in their classes escaped."""
    changed: Schema = {}
    pattern, named = part.get("pattern"), part.get("patternProperties")
    if isinstance(pattern, str) and (plain := _plain_classes(pattern)) != pattern:
        changed["pattern"] = plain
    if isinstance(named, dict) and any(_plain_classes(name) != name for name in named):
        alike: dict[str, list[object]] = {}  # two may be the same once they are plain
        for name, child in named.items():
            alike.setdefault(_plain_classes(name), []).append(child)
        changed["patternProperties"] = {
            name: children[0] if len(children) == 1 else {"allOf": children} for name, children in alike.items()
        }
    return changed


def _plain_classes(pattern: str) -> str:
    """``pattern`` with its classes so; one that nothing ends stays without an end, and is refused."""
    return CLASS.sub(
        lambda found: found[0] if found[2] is None else _plain_class(*found.groups()), with_plain_hyphens(pattern)
    )


def _plain_class(negation: str, members: str, end: str) -> str:
    plain = f"[{negation}{_plain_ranges(members)}{end}"
    return rf"[{plain}&&[^\f]]" if end and (negation or MAY_HOLD_CONTROLS.search(members)) else plain


def _plain_ranges(members: str) -> str:
    return RANGE.sub(lambda found: _plain(found[1]) + (f"-{_plain(found[3])}" if found[2] else ""), members)


def _plain(member: str) -> str:
    return f"\\{member}" if BEGINS_SET.fullmatch(member) else member


def _moved(part: Schema, *, combines: bool) -> list[tuple[str, str, float]]:
    """Which of its excluded bounds become which included ones. Where schemas ``combine``, the other bound may stand
    elsewhere."""
    if part.get("type") == "integer":
        return []
    moved = []
    for (excluded, included, inwards), (far_excluded, far_included, _) in (BOUNDS, BOUNDS[::-1]):
        bound, others = _number(part.get(excluded)), (part.get(far_excluded), part.get(far_included))
        if bound is None or bound % 1 or _is_tighter(_number(part.get(included)), bound, inwards):
            continue
        rooms = [inwards * (far - bound) for other in others if (far := _number(other)) is not None]
        room = min(rooms, default=1.0 if combines else math.inf)
        if 0 < room <= 1:
            moved.append((excluded, included, bound + inwards * _next_to_nothing(bound, room)))
    return moved


def _is_tighter(included: float | None, excluded: float, inwards: int) -> bool:
    return included is not None and inwards * (included - excluded) > 0


def _next_to_nothing(bound: float, room: float) -> float:
    within_room = math.floor(math.log10(room)) - DIGITS_WITHIN
    beside_bound = math.ceil(math.log10(abs(bound) + 1)) - DIGITS
    return 10.0 ** max(within_room, beside_bound)


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def allowed_escapes(schema: Schema) -> str | None:
    """Which escapes strings may hold; None for all."""
    if CONTROL.search(json.dumps(schema)):
        return None
    opened = any(
        part.get("additionalProperties") is not False and (part.get("properties") or part.get("patternProperties"))
        for _, part in subschemas(schema)
    )
    return SHORT_ESCAPES if opened else None


def check_distinct(schema: Schema) -> None:
    """Refuse ``minProperties`` that only keys which nobody declared can make up: they may be written twice."""
    for pointer, part in subschemas(schema):
        least, required = _number(part.get("minProperties")), part.get("required")
        declared = len(set(map(str, required))) if isinstance(required, list) else 0
        if least is not None and least > declared + 1:
            raise SchemaError(
                f"minProperties {least:.0f} at {pointer or '/'} cannot be enforced: keys that are not in required might"
                " be written twice. List them there, or ask with strict false to have the finished answer checked.",
                pointer=f"{pointer}/minProperties",
            )
