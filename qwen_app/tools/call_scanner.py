"""Reads what stands between the tool-call tags, ``{"name": ..., "arguments": {...}}``, as it is being written.

By hand, because arguments stream as the very text the model wrote: parsers of partial JSON give values and no text.
"""

from __future__ import annotations

import json
from enum import Enum, auto

ARGUMENT_KEYS = ("arguments", "parameters")
BLANKS = " \t\r\n"


class _At(Enum):
    OPEN = auto()
    KEY = auto()
    COLON = auto()
    VALUE = auto()
    NEXT = auto()
    END = auto()


class ValueScanner:
    """Finds where a JSON value ends, a character at a time; quotes and brackets inside strings are text."""

    def __init__(self) -> None:
        self.text = ""
        self.done = False
        self._depth = 0
        self._in_string = False
        self._escaped = False

    def feed(self, char: str) -> bool:
        """True when ``char`` belongs to the value; False when the value (a number or a word) ended before it."""
        if not self._in_string and self._depth == 0 and self.text and char in ",}]" + BLANKS:
            self.done = True
            return False
        self.text += char
        if self._escaped:
            self._escaped = False
        elif self._in_string:
            self._escaped = char == "\\"
            if char == '"':
                self._in_string = False
                self.done = self._depth == 0
        elif char == '"':
            self._in_string = True
        elif char in "{[":
            self._depth += 1
        elif char in "}]":
            self._depth -= 1
            self.done = self._depth == 0
        return True


class CallBody:
    """``name`` is None until it is complete. ``broken`` says that this is no call after all."""

    def __init__(self) -> None:
        self.raw = ""
        self.name: str | None = None
        self.broken = False
        self._at = _At.OPEN
        self._key = ""
        self._value = ValueScanner()
        self._unsent: list[str] = []
        self._has_arguments = False

    @property
    def done(self) -> bool:
        return self._at is _At.END

    def feed(self, char: str) -> None:
        self.raw += char
        if self._at is _At.VALUE and not (char in BLANKS and not self._value.text):
            self._feed_value(char)
        elif char not in BLANKS or self._value.text:
            self._feed_structure(char)

    def take_arguments(self) -> str:
        """What of the arguments came since the last call."""
        text = "".join(self._unsent)
        self._unsent.clear()
        return text

    def finish(self) -> None:
        """The call is over: one without arguments, as models write for a tool that takes none, has empty ones."""
        if self.name is not None and not self._has_arguments:
            self._has_arguments = True
            self._unsent.append("{}")

    def _feed_structure(self, char: str) -> None:
        match self._at, char:
            case (_At.OPEN, "{") | (_At.NEXT, ","):
                self._at = _At.KEY
            case (_At.KEY, _) if self._value.text or char == '"':
                self._value.feed(char)
                if self._value.done:
                    self._key = str(_loaded(self._value.text))
                    self._value = ValueScanner()
                    self._at = _At.COLON
            case (_At.COLON, ":"):
                self._at = _At.VALUE
            case (_At.NEXT, "}"):
                self._at = _At.END
                self.broken = self.name is None
                self.finish()
            case _:
                self.broken = True

    def _feed_value(self, char: str) -> None:
        streams = self._key in ARGUMENT_KEYS and (self._value.text or char)[0] == "{"
        belongs = self._value.feed(char)
        if streams:
            self._has_arguments = True
            self._unsent.append(char)
        if self._value.done:
            if not streams:
                self._keep(_loaded(self._value.text))
            self._value = ValueScanner()
            self._at = _At.NEXT
            if not belongs and char not in BLANKS:
                self._feed_structure(char)

    def _keep(self, value: object) -> None:
        if self._key == "name":
            self.broken = not isinstance(value, str)
            self.name = value if isinstance(value, str) else None
        elif self._key in ARGUMENT_KEYS and value is not None:
            # Arguments written as a string hold the JSON text of the object.
            text = value if isinstance(value, str) and isinstance(_loaded(value), dict) else None
            self.broken = text is None
            self._has_arguments = True
            self._unsent.append(text or "")


def _loaded(text: str) -> object:
    try:
        value: object = json.loads(text)
        return value
    except (ValueError, RecursionError):
        return None
