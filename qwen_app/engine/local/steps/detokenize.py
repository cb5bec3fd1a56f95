"""Incremental detokenization: token ids to text that never shows half a character."""

from __future__ import annotations

from bisect import bisect_left
from codecs import getincrementaldecoder
from collections.abc import Sequence
from functools import lru_cache

from tokenizers import Tokenizer

BROKEN = "\ufffd"
LONGEST_CHARACTER_TOKENS = 8  # a character is at most four bytes; give up on what is still broken after twice that


class Detokenizer:
    """Text of one growing answer.

    Decodes a short window of ids, since a token's text can depend on the one before it, and holds back what may still
    become another character.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._ids: list[int] = []
        self._start = 0  # the window
        self._read = 0  # ids whose text is known

    def add(self, token_id: int) -> str:
        """Text that became certain with ``token_id``."""
        self._ids.append(token_id)
        return self._new_text(flush=False)

    def flush(self) -> str:
        """What was held back, at the end of the answer."""
        return self._new_text(flush=True)

    def _new_text(self, *, flush: bool) -> str:
        before = self._decode(self._ids[self._start : self._read])
        now = self._decode(self._ids[self._start :])
        waiting = self._ids[self._read :]
        if now.endswith(BROKEN) and len(waiting) <= LONGEST_CHARACTER_TOKENS and not flush:
            return ""
        if len(now) <= len(before) and not flush:
            return ""
        self._start, self._read = self._read, len(self._ids)
        new = now[len(before) :]
        return self._without_half_character(new, waiting) if flush else new

    def _without_half_character(self, text: str, ids: Sequence[int]) -> str:
        """``text`` of ``ids`` up to a character whose last bytes never came. U+FFFD itself is a character."""
        spelled = [_spelled_bytes(self._tokenizer, token_id) for token_id in ids]
        if None in spelled:  # no byte-level vocabulary: nothing tells the two apart
            return text.rstrip(BROKEN)
        reader = getincrementaldecoder("utf-8")("replace")
        reader.decode(b"".join(filter(None, spelled)))
        begun, _ = reader.getstate()
        return text.removesuffix(BROKEN) if begun else text

    def _decode(self, ids: Sequence[int]) -> str:
        return str(self._tokenizer.decode(list(ids), skip_special_tokens=True))


def ids_of_text(tokenizer: Tokenizer, ids: Sequence[int], text: str) -> tuple[int, ...]:
    """The ids, of those generated, that spell ``text``; where ``text`` was cut inside a token, its end encoded anew."""

    def decoded(count: int) -> str:
        return str(tokenizer.decode(list(ids[:count]), skip_special_tokens=True))

    def differs(count: int) -> bool:
        return not text.startswith(decoded(count).rstrip(BROKEN))

    longest = bisect_left(range(1, len(ids) + 1), True, key=differs)
    for count in range(longest, max(0, longest - LONGEST_CHARACTER_TOKENS), -1):
        if text.startswith(decoded(count)):
            rest = tokenizer.encode(text[len(decoded(count)) :], add_special_tokens=False).ids
            return (*ids[:count], *rest)
    return ()


@lru_cache(maxsize=1)
def _byte_of_character() -> dict[str, int]:
    """The byte each character of a byte-level BPE vocabulary stands for (GPT-2's table)."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    table = {chr(byte): byte for byte in printable}
    others = (byte for byte in range(256) if byte not in printable)
    return table | {chr(256 + offset): byte for offset, byte in enumerate(others)}


def token_bytes(tokenizer: Tokenizer, token_id: int) -> bytes:
    """The bytes a token stands for, whole characters or not."""
    spelled = _spelled_bytes(tokenizer, token_id)
    return str(tokenizer.decode([token_id], skip_special_tokens=False)).encode() if spelled is None else spelled


def _spelled_bytes(tokenizer: Tokenizer, token_id: int) -> bytes | None:
    """The bytes of a token of a byte-level vocabulary; None for others."""
    spelled = tokenizer.id_to_token(token_id)
    table = _byte_of_character()
    if isinstance(spelled, str) and all(character in table for character in spelled):
        return bytes(table[character] for character in spelled)
    return None
