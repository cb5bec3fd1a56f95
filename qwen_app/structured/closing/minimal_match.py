"""A short text that a regular expression matches: a guess for the grammar to confirm.

It reads patterns with CPython's own parser, which is private (``re._parser``). It stays because the completion search
cannot do without: on 36 schemas (those of the tests, the page's and common patterns), each searched with ``PATIENT``,
eight were refused with no instance found (``^[a-z ]*the end$``, ``^\\S+\\.(pdf|docx)$``, ``^(\\w+ ){5}\\w+$``, ...)
and all took 61 s to compile; with the guess one is, and they take 1 s. What it cannot read it leaves to the search.
"""

from __future__ import annotations

import importlib
import re
import warnings
from typing import Any

Parsed = Any  # parts of a pattern as re._parser gives them: untyped, and different for each kind

LIMIT_CHARS = 256
HYPHEN = re.compile(r"(\\[wWdDsS])-|(\\.)|-(?=\\[wWdDsS])", re.DOTALL)
CATEGORIES = {"CATEGORY_DIGIT": "0", "CATEGORY_WORD": "a", "CATEGORY_SPACE": " "}
OTHERS = {"CATEGORY_NOT_DIGIT": "a", "CATEGORY_NOT_WORD": " ", "CATEGORY_NOT_SPACE": "a"}
PRINTABLE = "a0A-_.,:/ @#" + "".join(map(chr, range(0x21, 0x7F)))


def minimal_match(pattern: str) -> str | None:
    """A short text that probably matches ``pattern``; None for what Python's own parser does not know."""
    try:
        with warnings.catch_warnings(action="ignore"):  # of sets that a later Python may read otherwise
            parsed = importlib.import_module("re._parser").parse(with_plain_hyphens(pattern))
        return _text(parsed)[:LIMIT_CHARS]
    except (re.error, _Unknown, OverflowError, RecursionError):
        return None


def with_plain_hyphens(pattern: str) -> str:
    """``pattern`` with hyphens escaped that stand beside a class, as in ``[\\w-.]``: JavaScript takes them for
    characters, and others for ranges that cannot be."""
    return HYPHEN.sub(lambda found: found[0] if found[2] else (found[1] or "") + r"\-", pattern)


class _Unknown(Exception):
    """A part of a pattern that no example is made for."""


def _text(parts: Parsed) -> str:
    text = ""
    for kind, value in parts:
        text += _part(str(kind), value)
        if len(text) > LIMIT_CHARS:
            break  # what is longer is cut all the same
    return text


def _part(kind: str, value: Parsed) -> str:
    match kind:
        case "LITERAL":
            return chr(value)
        case "NOT_LITERAL":
            return _other_than({chr(value)})
        case "ANY":
            return "a"
        case "IN":
            return _one_of(value)
        case "AT":
            return ""
        case "SUBPATTERN":
            return _text(value[-1])
        case "ATOMIC_GROUP":
            return _text(value)
        case "BRANCH":
            return min((_text(branch) for branch in value[1]), key=len)
        case "MAX_REPEAT" | "MIN_REPEAT" | "POSSESSIVE_REPEAT":
            return (_text(value[2]) * min(value[0], LIMIT_CHARS))[: LIMIT_CHARS + 1] if value[0] else ""
    raise _Unknown


def _one_of(members: Parsed) -> str:
    if str(members[0][0]) == "NEGATE":
        return _other_than({char for kind, value in members[1:] for char in _chars(str(kind), value)})
    return min((_chars(str(kind), value)[0] for kind, value in members), key=_preference)


def _preference(char: str) -> int:
    """Plain characters first, control characters and what JSON escapes last."""
    return PRINTABLE.index(char) if char in PRINTABLE else len(PRINTABLE)


def _chars(kind: str, value: Parsed) -> str:
    match kind:
        case "LITERAL":
            return chr(value)
        case "RANGE":
            return "".join(map(chr, range(value[0], min(value[1], value[0] + 0x7F) + 1)))
        case "CATEGORY" if str(value) in CATEGORIES | OTHERS:
            return (CATEGORIES | OTHERS)[str(value)]
    raise _Unknown


def _other_than(excluded: set[str]) -> str:
    allowed = (char for char in PRINTABLE if char not in excluded and char not in '"\\\\')
    return next(allowed, "\u4e2d")
