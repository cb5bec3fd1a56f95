"""What an option takes and defaults to, in words."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Literal, get_args, get_origin

from pydantic.fields import FieldInfo


def takes(field: FieldInfo) -> str:
    """What may be given for ``field``, to go on with “it takes”."""
    if get_origin(field.annotation) is Literal:
        return "one of " + ", ".join(get_args(field.annotation))
    if field.annotation is bool:
        return "true or false"
    if field.annotation in (int, float):
        kind = "a whole number" if field.annotation is int else "a number"
        return " ".join([kind, *(_bound(bound) for bound in field.metadata)])
    return "some text"


def _bound(bound: object) -> str:
    words = {"ge": "from {:,}", "gt": "above {:,}", "le": "up to {:,}"}
    return next(text.format(getattr(bound, name)) for name, text in words.items() if hasattr(bound, name))


def metavar(field: FieldInfo) -> str:
    """What stands behind the flag of ``field`` in the help."""
    if field.annotation is bool:
        return ""
    if get_origin(field.annotation) is Literal:
        return " " + "|".join(get_args(field.annotation))
    return " N" if field.annotation in (int, float) else " TEXT"


def shown_default(default: object) -> str:
    """``default`` as the help has it."""
    if isinstance(default, bool):
        return "on" if default else "off"
    return f"{default:g}" if isinstance(default, float) else str(default) or "none"


def suggestion(word: str, known: Sequence[str]) -> str:
    """Which of ``known`` was most likely meant by ``word``, in a sentence; empty where none is like it."""
    close = difflib.get_close_matches(word, known, n=1)
    return f" Did you mean {close[0]}?" if close else ""
