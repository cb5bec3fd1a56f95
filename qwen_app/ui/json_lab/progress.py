"""Where in a JSON document a streamed answer stands, and what of the document is there already."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Literal

Stage = Literal["start", "key", "value", "string", "literal", "next", "done", "invalid", "too_large"]
BLANKS = " \t\r\n"
GIVEN_UP: tuple[Stage, ...] = ("invalid", "too_large")

LIMIT_CHARS = 200_000  # of a document
LIMIT_DEPTH = 64  # of open objects and arrays
LIMIT_KEY_CHARS = 60  # of one step of a path


@dataclass(frozen=True, slots=True)
class Place:
    """``path`` is a JSON path such as ``$.people[2].name``, ``depth`` the number of open objects and arrays.

    ``stage`` says what is being written there: a key, a string, a number or word (``literal``), or what is due next.
    """

    path: str
    depth: int
    stage: Stage


@dataclass(slots=True)
class _Frame:
    """An open object or array. ``key`` is the key being filled, or how many items came before this one."""

    holder: dict[str, object] | list[object]
    key: str | int | None
    stage: Stage


class JsonProgress:
    """Follows JSON text piece by piece; how it is cut makes no difference. What is no JSON stops it
    (``invalid``), and what is larger than a page can draw (``too_large``), at what there is until then."""

    def __init__(self) -> None:
        self.document: object = None  # what is complete so far, and the beginning of a string being written
        self._frames: list[_Frame] = []
        self._stage: Stage = "value"  # at the top level
        self._token: list[str] = []
        self._in_string = False
        self._escaped = False
        self._started = False
        self._chars = 0

    def feed(self, text: str) -> None:
        for char in text:
            if self._stage in GIVEN_UP:
                return
            self._chars += 1
            if self._chars > LIMIT_CHARS:
                self._stage = "too_large"
                return
            self._step(char)
        if self._in_string and self._expected() == "value":
            self._put(_partial_string("".join(self._token)))

    @property
    def place(self) -> Place:
        return Place(self._path(), len(self._frames), self._now())

    def _now(self) -> Stage:
        if self._stage in GIVEN_UP:
            return self._stage
        if not self._started:
            return "start"
        if self._in_string and self._expected() == "value":
            return "string"
        if self._token:
            return "key" if self._in_string else "literal"
        return self._expected()

    def _expected(self) -> Stage:
        return self._frames[-1].stage if self._frames else self._stage

    def _path(self) -> str:
        steps = [frame.key for frame in self._frames if frame.key is not None]
        return "$" + "".join(_path_step(step) for step in steps)

    def _step(self, char: str) -> None:
        if self._in_string:
            self._read_string(char)
        elif self._token and char not in ",]}:" + BLANKS:
            self._token.append(char)
        else:
            if self._token:
                self._end_value()
            if char not in BLANKS:
                self._started = True
                self._read_structure(char)

    def _read_string(self, char: str) -> None:
        self._token.append(char)
        if self._escaped:
            self._escaped = False
        elif char == "\\":
            self._escaped = True
        elif char == '"':
            self._in_string = False
            self._end_value()

    def _end_value(self) -> None:
        text = "".join(self._token)
        self._token.clear()
        try:
            value = json.loads(text, strict=False)
        except ValueError:
            self._stage = "invalid"
            return
        if self._expected() == "key":
            self._frames[-1].key = value
            self._frames[-1].stage = "next"
        else:
            self._put(value)
            self._expect_next()

    def _read_structure(self, char: str) -> None:
        frame = self._frames[-1] if self._frames else None
        match char:
            case '"' if self._expected() in ("key", "value"):
                self._in_string = True
                self._token.append(char)
            case "{" | "[" if self._expected() == "value":
                self._open(char)
            case "}" | "]" if frame is not None and _closes(frame, char):
                self._frames.pop()
                self._expect_next()
            case "," if frame is not None and frame.stage == "next" and self._has_value(frame):
                frame.stage = "key" if isinstance(frame.holder, dict) else "value"
                frame.key = None if isinstance(frame.holder, dict) else len(frame.holder)
            case ":" if frame is not None and isinstance(frame.key, str) and frame.stage == "next":
                frame.stage = "value"
            case _ if self._expected() == "value":
                self._token.append(char)
            case _:
                self._stage = "invalid"

    def _has_value(self, frame: _Frame) -> bool:
        return isinstance(frame.holder, list) or frame.key in frame.holder

    def _open(self, char: str) -> None:
        if len(self._frames) >= LIMIT_DEPTH:
            self._stage = "too_large"
            return
        holder: dict[str, object] | list[object] = {} if char == "{" else []
        self._put(holder)
        self._expect_next()
        is_object = isinstance(holder, dict)
        self._frames.append(_Frame(holder, None if is_object else 0, "key" if is_object else "value"))

    def _expect_next(self) -> None:
        """A value is whole: within an object or array there may be another."""
        if self._frames:
            self._frames[-1].stage = "next"
        else:
            self._stage = "done"

    def _put(self, value: object) -> None:
        frame = self._frames[-1] if self._frames else None
        if frame is None:
            self.document = value
        elif isinstance(frame.holder, dict):
            frame.holder[str(frame.key)] = value
        else:
            frame.holder[int(frame.key or 0) :] = [value]


def _closes(frame: _Frame, char: str) -> bool:
    return char == ("}" if isinstance(frame.holder, dict) else "]")


def _path_step(step: str | int) -> str:
    if isinstance(step, int):
        return f"[{step}]"
    if len(step) > LIMIT_KEY_CHARS:
        step = step[: LIMIT_KEY_CHARS - 1] + "…"
    return f".{step}" if step.isidentifier() else f"[{json.dumps(step, ensure_ascii=False)}]"


def _partial_string(text: str) -> str:
    """The beginning of a string, without an escape that is not whole yet."""
    for end in range(len(text), max(0, len(text) - 6), -1):
        try:
            whole = json.loads(text[:end] + '"', strict=False)
            return str(whole).encode(errors="ignore").decode()  # half a surrogate pair shows when it is whole
        except ValueError:
            continue
    return ""
