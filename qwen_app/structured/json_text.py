"""What must be known of JSON text: while it is still being written, and where it spells what answers cannot say."""

from __future__ import annotations

import json
import math

QUOTE, BACKSLASH = ord('"'), ord("\\")
SHOWN_DIGITS = 40  # of a number that is refused


def whole_characters(text: str) -> str:
    """``text`` with U+FFFD for half characters (lone surrogates), which JSON can write and UTF-8 cannot."""
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def finite_number(number: str) -> float:
    """For ``json.loads``. Raises ValueError for NaN and for what is too large, which no JSON of ours could repeat."""
    value = float(number)
    if not math.isfinite(value):
        raise ValueError(f"{number[:SHOWN_DIGITS]} is no number that JSON knows")
    return value


class StringTracker:
    """Says whether the text fed so far ends inside a JSON string, and how many ended. Linear, a byte at a time."""

    __slots__ = ("ended", "escaped", "inside")

    def __init__(self, *, inside: bool = False) -> None:
        self.inside = inside
        self.ended = 0
        self.escaped = False  # the last byte was the backslash of an unfinished escape

    def feed(self, text: bytes) -> None:
        for byte in text:
            if self.escaped:
                self.escaped = False
            elif byte == QUOTE:
                self.ended += self.inside
                self.inside = not self.inside
            elif byte == BACKSLASH and self.inside:
                self.escaped = True

    def copy(self) -> StringTracker:
        other = StringTracker(inside=self.inside)
        other.ended, other.escaped = self.ended, self.escaped
        return other


def duplicate_keys(text: str) -> list[str]:
    """Keys that some object of ``text`` names more than once, in the order met.

    A grammar cannot forbid them for keys that a schema does not list, and JSON parsers silently keep one of the values.
    """
    duplicates: list[str] = []

    def note_keys(pairs: list[tuple[str, object]]) -> dict[str, object]:
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen and key not in duplicates:
                duplicates.append(key)
            seen.add(key)
        return dict(pairs)

    json.loads(text, object_pairs_hook=note_keys)
    return duplicates
