"""Reading JSON from outside: what it may hold is counted in its bytes, before a single object is made of them.

A reader that makes objects holds the interpreter until it is done, and 4 MiB can hold two million of them. Counting
bytes costs a few milliseconds, whatever they are.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable

from fastapi import Request

from qwen_app.errors import RequestError

MAX_VALUES = 2**18  # more token ids than any context holds
MAX_CONTAINERS = 2**15  # objects and lists; the longest conversations hold three a message
MAX_DEPTH = 200
MAX_TEXTS = 2**16  # texts and names of fields: a plain message has four, a round of calls twelve
MAX_DIGITS = 40  # of an integer
THREAD_BYTES = 2**16  # mending this much is done in a thread

_DIGITS_AS_0 = bytes(ord("0") if chr(code).isdigit() else code for code in range(256))


class BoundedRequest(Request):
    """A request whose JSON is read within the bounds above."""

    async def json(self) -> object:
        """The body's value. Raises JSONDecodeError, ValueError, RecursionError or RequestError."""
        if not hasattr(self, "_json"):
            self._json = await read_body(await self.body())
        return self._json


async def read_body(raw: bytes) -> object:
    """The JSON value in ``raw``, with half characters, which JSON can carry and UTF-8 cannot, turned into U+FFFD."""
    text = raw.decode(json.detect_encoding(raw), "surrogatepass")
    value = read_json(text)
    if "\\ud" not in text and "\\uD" not in text and not _has_halves(text):
        return value
    if len(raw) < THREAD_BYTES:
        return without_surrogates(value)
    return await asyncio.to_thread(without_surrogates, value)


def _has_halves(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def read_json(text: str) -> object:
    """The JSON value in ``text``. Raises JSONDecodeError, ValueError, RecursionError or, over a bound, RequestError."""
    raw = text.encode("utf-8", "surrogatepass")
    _check_counts(raw)
    value: object = json.loads(text, parse_int=_bounded_int if _has_long_number(raw) else None)
    if raw.count(b"[") + raw.count(b"{") > MAX_DEPTH:
        _check_depth(value)
    return value


def _check_counts(raw: bytes) -> None:
    quotes = raw.count(b'"') - raw.count(b'\\"')  # at most those that begin or end a text
    if quotes > 2 * MAX_TEXTS:
        raise _too_many("texts and names of fields", MAX_TEXTS)
    if _within(raw):
        return
    bare = b"".join(raw.replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"')[::2])  # what stands in no text
    if bare.count(b"[") + bare.count(b"{") > MAX_CONTAINERS:
        raise _too_many("objects and lists", MAX_CONTAINERS)
    if not _within(bare):
        raise _too_many("values", MAX_VALUES)


def _within(raw: bytes) -> bool:
    """Every value but the first of an object or list has a comma before it."""
    return raw.count(b",") <= MAX_VALUES and raw.count(b"[") + raw.count(b"{") <= MAX_CONTAINERS


def _too_many(what: str, limit: int) -> RequestError:
    return RequestError(f"The body holds more than {limit:,} {what}. Send fewer.")


def _has_long_number(raw: bytes) -> bool:
    return b"0" * (MAX_DIGITS + 1) in raw.translate(_DIGITS_AS_0)


def _bounded_int(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise ValueError(f"a number in it has more than {MAX_DIGITS} digits")
    return int(digits)


def _check_depth(value: object) -> None:
    """Level by level rather than by recursion: what reads the value later recurses, and must not come to its end."""
    level = _containers([value])  # the value itself, where it is one
    for _ in range(MAX_DEPTH):
        if not level:
            return
        level = [inner for outer in level for inner in _containers(outer)]
    raise RecursionError


def _containers(value: dict[str, object] | list[object]) -> list[dict[str, object] | list[object]]:
    inside: Iterable[object] = value.values() if isinstance(value, dict) else value
    return [inner for inner in inside if isinstance(inner, dict | list)]


def without_surrogates(value: object) -> object:
    """``value``, of bounded depth, with half characters turned into U+FFFD."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, dict):
        return {without_surrogates(key): without_surrogates(item) for key, item in value.items()}
    if isinstance(value, list):
        return [without_surrogates(item) for item in value]
    return value
