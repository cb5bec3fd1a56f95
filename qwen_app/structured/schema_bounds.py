"""How large a schema may be, in every dimension that costs time or memory to compile, to search or to check.

The walk is one loop over all of the document, also below keywords that nobody knows: what is costly to somebody's
compiler need not stand where ours looks.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice

from qwen_app.errors import SchemaError

LIMIT_DEPTH = 64
LIMIT_VALUES = 20_000  # objects, arrays and plain values of the whole document
LIMIT_KEYS = 2_000  # of one object
LIMIT_TEXT_CHARS = 4_000  # of one string or key; descriptions are texts too
LIMIT_ENUM_CHARS = 1_000  # of one value; the search for an ending is quadratic in it
LIMIT_COUNT = 1_000_000  # a length or a number of items that is asked for
LIMIT_PATTERN_CHARS = 2_000
LIMIT_PATTERN_SIZE = 20_000  # characters once its repeats are written out
LIMIT_LISTS = {
    "required": 1_000,
    "enum": 5_000,
    "anyOf": 1_000,
    "oneOf": 1_000,
    "allOf": 200,
    "prefixItems": 1_000,
    "items": 1_000,
    "type": 16,
}
COUNTS = tuple(bound + what for bound in ("min", "max") for what in ("Items", "Length", "Properties", "Contains"))
REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")

PLAIN_KEYWORDS = {"type", "properties", "required", "items", "enum", "additionalProperties", "title", "description"}
PLAIN_VALUES = 200
PLAIN_TEXT_CHARS = 500
HALF_A_CHARACTER = re.compile("[\ud800-\udfff]")  # half of a surrogate pair, as JSON's escapes can write it
DATA = ("enum", "const")  # below these stand values, in which no word is a keyword


@dataclass(frozen=True, slots=True)
class _Place:
    pointer: str
    value: object
    is_data: bool = False


def check_bounds(schema: object) -> None:
    """Raises SchemaError, with the place and the bound, for what is larger than any of these bounds."""
    values = 0
    level = [_Place("", schema)]
    for _ in range(LIMIT_DEPTH + 1):
        below: list[_Place] = []
        for place in level:
            values += 1
            _check_size(place)
            if not place.is_data:
                _check_keywords(place)
            below.extend(islice(_children(place), LIMIT_VALUES + 1))  # of a long list no more than it takes to refuse
            if values + len(below) > LIMIT_VALUES:
                raise SchemaError(f"The schema has more than {LIMIT_VALUES:,} values. Split it or leave parts out.")
        if not below:
            return
        level = below
    raise too_deep()


def too_deep(what: str = "The schema is") -> SchemaError:
    return SchemaError(f"{what} nested deeper than {LIMIT_DEPTH} levels. Flatten it or use $defs.")


def _children(place: _Place) -> Iterator[_Place]:
    if isinstance(place.value, dict):
        for key, child in place.value.items():
            is_data = place.is_data or (key in DATA and not isinstance(child, dict))
            yield _Place(f"{place.pointer}/{escape(key)}", child, is_data)
    elif isinstance(place.value, list):
        for index, child in enumerate(place.value):
            yield _Place(f"{place.pointer}/{index}", child, place.is_data)


def _check_size(place: _Place) -> None:
    if isinstance(place.value, float):
        _check_finite(place.value, place.pointer)
    if isinstance(place.value, str):
        _at_most(len(place.value), LIMIT_TEXT_CHARS, "characters of a text", place.pointer)
        check_whole_characters(place.value, place.pointer)
    if isinstance(place.value, dict):
        _at_most(len(place.value), LIMIT_KEYS, "keys in one object", place.pointer)
        for key in place.value:
            _at_most(len(key), LIMIT_TEXT_CHARS, "characters of a key", place.pointer)
            check_whole_characters(key, place.pointer)


def _check_finite(number: float, pointer: str) -> None:
    if math.isnan(number):
        raise SchemaError(f"JSON has no NaN, which stands at {pointer or '/'}. Write a number.", pointer=pointer)
    if math.isinf(number):
        raise SchemaError(
            f"The number at {pointer or '/'} is infinite, or too large (1e308 is about the most). Write a smaller one.",
            pointer=pointer,
        )


def check_whole_characters(text: str, pointer: str) -> None:
    """Raises SchemaError for half a character, which no text can be made of."""
    if not text.isascii() and (half := HALF_A_CHARACTER.search(text)):
        raise SchemaError(
            f"The text at {pointer or '/'} holds half a character (\\u{ord(half[0]):04x}). Write both halves, or none.",
            pointer=pointer,
        )


def _check_keywords(place: _Place) -> None:
    if isinstance(place.value, dict):
        for keyword in _CHECKS.keys() & place.value.keys():
            _CHECKS[keyword](f"{place.pointer}/{keyword}", place.value[keyword])


def _check_list(keyword: str) -> Callable[[str, object], None]:
    def check(pointer: str, value: object) -> None:
        if isinstance(value, list):
            _at_most(len(value), LIMIT_LISTS[keyword], f"entries of {keyword}", pointer)
            if keyword == "enum":
                for index, one in enumerate(value):
                    _check_constant(f"{pointer}/{index}", one)

    return check


def _check_constant(pointer: str, value: object) -> None:
    if isinstance(value, str):
        _at_most(len(value), LIMIT_ENUM_CHARS, "characters of a fixed value", pointer)


def _check_count(pointer: str, value: object) -> None:
    if isinstance(value, int | float) and value > LIMIT_COUNT:
        raise SchemaError(f"{pointer} asks for {value:,}; at most {LIMIT_COUNT:,} are taken.", pointer=pointer)


def _check_reference(pointer: str, value: object) -> None:
    if isinstance(value, str) and not value.startswith("#"):
        raise SchemaError(
            f"{pointer.rpartition('/')[2]} at {pointer} leaves the schema ({value[:80]}). "
            "Only references within it (#/...) are followed: copy the other schema into $defs.",
            pointer=pointer,
        )


def _check_patterns(pointer: str, value: object) -> None:
    if isinstance(value, dict):
        for pattern in value:
            check_pattern(f"{pointer}/{escape(pattern)}", pattern)


def check_pattern(pointer: str, pattern: object) -> None:
    """Raises SchemaError for a regular expression that is long, or becomes long once its repeats are written out."""
    if not isinstance(pattern, str):
        return
    _at_most(len(pattern), LIMIT_PATTERN_CHARS, "characters of a pattern", pointer)
    if pattern_size(pattern) > LIMIT_PATTERN_SIZE:
        raise SchemaError(
            f"The pattern at {pointer} has more than {LIMIT_PATTERN_SIZE:,} characters once its repeats are written "
            "out. Repeat less, or use maxLength.",
            pointer=pointer,
        )


def is_plain(schema: object) -> bool:
    """Whether ``schema`` is so small and so plain that compiling it cannot cost much: objects, lists, fixed values."""
    waiting, values = [schema], 0
    while waiting:
        value = waiting.pop()
        values += 1
        if values > PLAIN_VALUES:
            return False
        if isinstance(value, dict):
            names = value.get("properties")
            if not value.keys() <= PLAIN_KEYWORDS or (names is not None and not isinstance(names, dict)):
                return False
            waiting += [child for key, child in value.items() if key != "properties"]
            waiting += names.values() if names else ()
        elif isinstance(value, list):
            waiting += value
        elif isinstance(value, str) and len(value) > PLAIN_TEXT_CHARS:
            return False
    return True


def pattern_size(pattern: str) -> int:
    """Characters of ``pattern`` with its repeats written out: a sum over the parts, a product over nested repeats.

    Reads what it must of a regular expression and no more: escapes, classes, groups and the braces of repeats.
    """
    open_groups, last, place = [0], 0, 0  # sizes of the groups that are open, and of the part read last
    while place < len(pattern):
        char = pattern[place]
        place += 1
        if char == "\\":
            place += 1
            last = 1
        elif char == "[":
            place = _after_class(pattern, place)
            last = 1
        elif char == "(":
            open_groups.append(0)
            continue
        elif char == ")" and len(open_groups) > 1:
            last = open_groups.pop()
        elif char == "{":
            times, place = _repeats(pattern, place)
            if times:
                open_groups[-1] += last * (times - 1)
                last *= times
                continue
            last = 1
        else:
            last = 1
        open_groups[-1] += last
        if open_groups[-1] > LIMIT_PATTERN_SIZE:
            break
    return sum(open_groups)


def _after_class(pattern: str, place: int) -> int:
    """Where the character class that began before ``place`` is over."""
    place += pattern.startswith("^", place)
    place += pattern.startswith("]", place)  # a bracket that comes first is a member
    while place < len(pattern) and pattern[place] != "]":
        place += 2 if pattern[place] == "\\" else 1
    return place + 1


def _repeats(pattern: str, place: int) -> tuple[int, int]:
    """How often braces repeat at most, and where they end; 0 for braces that stand for themselves."""
    end = pattern.find("}", place, place + 24)
    if end < 0:
        # too many digits for any repeat that is taken, or no repeat at all
        return (LIMIT_PATTERN_SIZE if pattern[place : place + 24].replace(",", "").isdigit() else 0), place
    least, comma, most = pattern[place:end].partition(",")
    numbers = [int(part) for part in (least, most) if part.isascii() and part.isdigit()]
    if not least.isdigit() or (comma and most and not most.isdigit()):
        return 0, place
    return max([1, *numbers]), end + 1


def _at_most(count: int, limit: int, what: str, pointer: str) -> None:
    if count > limit:
        pointer = pointer[:200]
        place = pointer or "/"
        raise SchemaError(f"The schema has {count:,} {what} at {place}; at most {limit:,} are taken.", pointer=pointer)


def escape(key: str) -> str:
    """``key`` as one part of a JSON pointer (RFC 6901)."""
    return key.replace("~", "~0").replace("/", "~1")


_CHECKS: dict[str, Callable[[str, object], None]] = {
    **{keyword: _check_list(keyword) for keyword in LIMIT_LISTS},
    **dict.fromkeys(COUNTS, _check_count),
    **dict.fromkeys(REFERENCES, _check_reference),
    "const": _check_constant,
    "pattern": check_pattern,
    "patternProperties": _check_patterns,
}
