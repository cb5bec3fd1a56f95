"""Reads what stands between the tool-call tags, ``{"name": ..., "arguments": {...}}``, as it is being written.

By hand, because arguments stream as the very text the model wrote: parsers of partial JSON give values and no text.
"""

from __future__ import annotations

import json
import re
from enum import Enum, auto

ARGUMENTS, PARAMETERS = "arguments", "parameters"
ARGUMENT_KEYS = (ARGUMENTS, PARAMETERS)  # where both are given, the first counts: it is the one models are told of
BLANKS = " \t\r\n"
LONGEST_ESCAPE = len(r"\ud83d\ude00")
HALF_CHARACTER = re.compile("[\ud800-\udbff]$")  # that JSON's escapes can end in


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
    """``name`` is None until it is complete. ``broken`` says that this is no call after all.

    ``parameters`` wait until it is sure that no ``arguments`` come. Of a key that comes twice the first counts; null is
    as good as nothing.
    """

    def __init__(self) -> None:
        self.raw = ""
        self.name: str | None = None
        self.broken = False
        self._at = _At.OPEN
        self._key = ""
        self._value = ValueScanner()
        self._unsent: list[str] = []
        self._spare: list[str] = []  # the parameters
        self._unfit = False  # they are no object
        self._target: list[str] | None = None  # of the value being read, where it counts
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

    def cut_off(self, *, cut: bool) -> None:
        """The answer ended within the call. Its arguments end where they do; without any, they are empty ones unless a
        limit ``cut`` it. What can be no object any more makes it no call."""
        begun = self._value.text if self._at is _At.VALUE and self._target is not None else ""
        if begun and not begun.startswith("{"):
            self._take(_begun_object(begun))
        self._settle("" if cut else "{}")

    def _settle(self, nothing: str) -> None:
        """No more arguments come: parameters stand in for them, and ``nothing`` where there are none, as models write
        for a tool that takes none."""
        if self._has_arguments:
            return
        self.broken = self.broken or self._unfit
        if self.name is not None and not self.broken:
            self._has_arguments = True
            self._unsent += self._spare or [nothing]

    def _take(self, text: str | None) -> None:
        """``text`` is the arguments' that were written otherwise than as an object; None where they can be none."""
        if text is not None:
            self._add(text)
        elif self._target is self._spare:
            self._unfit = True
        else:
            self.broken = True

    def _add(self, text: str) -> None:
        if self._target is not None and text:
            self._target.append(text)
            self._has_arguments = self._has_arguments or self._target is self._unsent

    def _target_of(self, key: str) -> list[str] | None:
        if key == ARGUMENTS and not self._has_arguments:
            return self._unsent
        return self._spare if key == PARAMETERS and not (self._has_arguments or self._spare or self._unfit) else None

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
                self.broken = self.broken or self.name is None
                self._settle("{}")
            case _:
                self._settle("")
                self.broken = True

    def _feed_value(self, char: str) -> None:
        if not self._value.text:
            self._target = self._target_of(self._key)
        streams = self._target is not None and (self._value.text or char)[0] == "{"
        belongs = self._value.feed(char)
        if streams:
            self._add(char)
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
        elif self._target is not None and not is_nothing(value):
            # Arguments written as a string hold the JSON text of the object.
            self._take(value if isinstance(value, str) and isinstance(_loaded(value), dict) else None)


def is_nothing(arguments: object) -> bool:
    """Whether they are none, as models write them for a tool that takes none."""
    return arguments is None or (isinstance(arguments, str) and not arguments.strip(BLANKS))


def _begun_object(value: str) -> str | None:
    """What of an object's text is in ``value``, a JSON value of another kind that was cut off: nothing in null, some in
    a string; None where it can be none."""
    if "null".startswith(value):
        return ""
    text = _begun_string(value) if value.startswith('"') else None
    return text if text is not None and text.lstrip(BLANKS)[:1] in ("", "{") else None


def _begun_string(value: str) -> str | None:
    """The string that ``value`` begins, up to the last character that is whole."""
    for end in range(len(value), max(0, len(value) - LONGEST_ESCAPE), -1):
        text = _loaded(value[:end] + '"')
        if isinstance(text, str) and not HALF_CHARACTER.search(text):
            return text
    return None


def _loaded(text: str) -> object:
    try:
        value: object = json.loads(text)
        return value
    except (ValueError, RecursionError):
        return None
