"""Reading JSON from outside: what it may hold is counted before a single object is made of it."""

from __future__ import annotations

import asyncio
import json
import re
import zlib
from collections.abc import Iterable

from fastapi import Request

from qwen_app.errors import RequestError, TooLarge, UnsupportedMediaType
from qwen_app.http.json_bounds import JsonBounds
from qwen_app.http.middleware import BODY_LIMIT_BYTES
from qwen_app.structured.json_text import finite_number, whole_characters

MAX_VALUES = 2**18  # more token ids than any context holds
# The longest conversations hold three objects and lists a message; a plain message has four texts and names of fields,
# a round of calls twelve.
BOUNDS = JsonBounds(values=MAX_VALUES, containers=2**15, texts=2**16)
MAX_DEPTH = 200
MAX_DIGITS = 40  # of an integer
# As zlib tells the formats apart; x-gzip is gzip's old name (RFC 9110, 8.4.1.3).
WINDOW_BITS = {"gzip": 16 + zlib.MAX_WBITS, "x-gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}
THREAD_BYTES = 2**16  # mending this much is done in a thread

HUGE = re.compile(rb"[eE]\+?\d{3}")  # may be the exponent of a number that is too large

_DIGITS_AS_0 = bytes(ord("0") if chr(code).isdigit() else code for code in range(256))


class BoundedRequest(Request):
    """A request whose JSON is read within the bounds above."""

    async def json(self) -> object:
        """The body's value. Raises JSONDecodeError, ValueError, RecursionError or RequestError."""
        if not hasattr(self, "_json"):
            encoding = self.headers.get("content-encoding", "identity").strip().lower()
            raw = await self.body()
            if encoding != "identity":
                raw = await asyncio.to_thread(_unpacked, raw, encoding)
            self._json = await read_body(raw)
        return self._json


def _unpacked(raw: bytes, encoding: str) -> bytes:
    """A compressed body. Raises UnsupportedMediaType, TooLarge for what would become too long, and RequestError."""
    if encoding not in WINDOW_BITS:
        raise UnsupportedMediaType(f"Bodies in '{encoding}' are not read. Send gzip or deflate, or plain JSON.")
    unpacking = zlib.decompressobj(WINDOW_BITS[encoding])
    try:
        text = unpacking.decompress(raw, BODY_LIMIT_BYTES + 1)
    except zlib.error as error:
        raise RequestError(f"The body is not {encoding}: {error}.") from error
    if len(text) > BODY_LIMIT_BYTES:
        raise TooLarge(f"Unpacked, the body is over the limit of {BODY_LIMIT_BYTES // 2**20} MiB. Send less text.")
    if not unpacking.eof:
        raise RequestError(f"The body ends before its {encoding} does.")
    if unpacking.unused_data:
        raise RequestError(f"The body goes on after its {encoding} has ended. Compress all of it in one piece.")
    return text


async def read_body(raw: bytes) -> object:
    """The JSON value in ``raw``, with half characters, which JSON can carry and UTF-8 cannot, turned into U+FFFD."""
    text = _decoded(raw)
    value = read_json(text)
    if "\\ud" not in text and "\\uD" not in text and not _has_halves(text):
        return value
    if len(raw) < THREAD_BYTES:
        return without_surrogates(value)
    return await asyncio.to_thread(without_surrogates, value)


def _decoded(raw: bytes) -> str:
    """The text in ``raw``. Raises RequestError for another encoding: some shells send that of their own system."""
    try:
        return raw.decode(json.detect_encoding(raw), "surrogatepass")
    except UnicodeDecodeError as error:
        raise RequestError(f"The body is not in UTF-8, as its byte {error.start} shows. Send it in UTF-8.") from error


def _has_halves(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def read_json(text: str) -> object:
    """The JSON value in ``text``. Raises JSONDecodeError, ValueError, RecursionError or, over a bound, RequestError."""
    raw = text.encode("utf-8", "surrogatepass")
    refusal = BOUNDS.refusal(raw)
    if refusal:
        raise RequestError(refusal)
    long = _has_long_number(raw)
    value: object = json.loads(
        text,
        parse_int=_bounded_int if long else None,
        parse_float=finite_number if long or HUGE.search(raw) else None,
        parse_constant=finite_number,
    )
    if raw.count(b"[") + raw.count(b"{") > MAX_DEPTH:
        _check_depth(value)
    return value


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
        return whole_characters(value)
    if isinstance(value, dict):
        return {without_surrogates(key): without_surrogates(item) for key, item in value.items()}
    if isinstance(value, list):
        return [without_surrogates(item) for item in value]
    return value
