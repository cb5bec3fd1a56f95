"""Incremental detokenization: token ids to text that never shows half a character and never runs past a stop string."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from functools import lru_cache

from tokenizers import Tokenizer

BROKEN = "\ufffd"
LONGEST_CHARACTER_TOKENS = 8  # a character is at most four bytes; give up on what is still broken after twice that


class Detokenizer:
    """Text of one growing answer.

    Decodes a short window of ids, since a token's text can depend on the one before it, and holds back what may still
    become another character or a stop string.
    """

    def __init__(self, tokenizer: Tokenizer, stop: Sequence[str] = ()) -> None:
        self._tokenizer = tokenizer
        self._stop = tuple(stop)
        self._ids: list[int] = []
        self._start = 0  # the window
        self._read = 0  # ids whose text is known
        self._held = ""
        self.stopped = False

    def add(self, token_id: int) -> str:
        """Text that became certain with ``token_id``. Sets ``stopped`` once a stop string is complete."""
        self._ids.append(token_id)
        return self._release(self._new_text(flush=False))

    def flush(self) -> str:
        """What was held back, at the end of the answer."""
        if self.stopped:
            return ""
        text = self._release(self._new_text(flush=True))
        if not self.stopped:
            text, self._held = text + self._held, ""
        return text

    def _new_text(self, *, flush: bool) -> str:
        before = self._decode(self._ids[self._start : self._read])
        now = self._decode(self._ids[self._start :])
        waiting = len(self._ids) - self._read
        if now.endswith(BROKEN) and waiting <= LONGEST_CHARACTER_TOKENS and not flush:
            return ""
        if len(now) <= len(before) and not flush:
            return ""
        self._start, self._read = self._read, len(self._ids)
        new = now[len(before) :]
        return new.rstrip(BROKEN) if flush else new

    def _decode(self, ids: Sequence[int]) -> str:
        return str(self._tokenizer.decode(list(ids), skip_special_tokens=True))

    def _release(self, new: str) -> str:
        if not self._stop:
            return new
        text = self._held + new
        found = [at for at in (text.find(stop) for stop in self._stop) if at >= 0]
        if found:
            self.stopped = True
            self._held = ""
            return text[: min(found)]
        keep = max(_overlap(text, stop) for stop in self._stop)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep]


def _overlap(text: str, stop: str) -> int:
    """Length of the longest end of ``text`` that begins ``stop``."""
    for size in range(min(len(text), len(stop) - 1), 0, -1):
        if text.endswith(stop[:size]):
            return size
    return 0


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
    spelled = tokenizer.id_to_token(token_id)
    table = _byte_of_character()
    if isinstance(spelled, str) and all(character in table for character in spelled):
        return bytes(table[character] for character in spelled)
    return str(tokenizer.decode([token_id], skip_special_tokens=False)).encode()
