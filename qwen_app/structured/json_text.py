"""The few things that must be known of JSON text while it is still being written."""

from __future__ import annotations

import json

QUOTE, BACKSLASH = ord('"'), ord("\\")


class StringTracker:
    """Says whether the text fed so far ends inside a JSON string. Linear, a byte at a time."""

    __slots__ = ("_escaped", "inside")

    def __init__(self, *, inside: bool = False) -> None:
        self.inside = inside
        self._escaped = False

    @property
    def escaped(self) -> bool:
        """The last byte was the backslash of an unfinished escape."""
        return self._escaped

    def feed(self, text: bytes) -> None:
        for byte in text:
            if self._escaped:
                self._escaped = False
            elif byte == QUOTE:
                self.inside = not self.inside
            elif byte == BACKSLASH and self.inside:
                self._escaped = True

    def copy(self) -> StringTracker:
        other = StringTracker(inside=self.inside)
        other._escaped = self._escaped
        return other


def depth_of(value: object) -> int:
    """How deeply objects and arrays are nested: 0 for a plain value, 1 for ``{}``."""
    depth = 0
    level: list[object] = [value]
    while level := [child for child in level if isinstance(child, dict | list)]:
        depth += 1
        level = [item for child in level for item in (child.values() if isinstance(child, dict) else child)]
    return depth


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
