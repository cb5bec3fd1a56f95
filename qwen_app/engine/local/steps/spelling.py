"""What tokens spell: the bytes behind every id, whichever way a vocabulary writes them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from tokenizers import Tokenizer

NAME_OF_A_BYTE = re.compile("<0x([0-9A-Fa-f]{2})>")
LETTER = "a"  # no decoder makes anything else of it
BEFORE = ("", "\n", ".", LETTER)  # what text to be encoded may stand behind: one of them merges with no beginning


class Spelling:
    """Bytes of the tokens of one tokenizer, whole characters or not. Thread-safe; what was asked for once is known.

    Byte-level vocabularies write each byte as a character. Those of SentencePiece write text as it is, blanks as ``▁``
    and bytes without a token as ``<0xE2>``, and the blank before the first word of a text is none of the text. The
    tokenizer's own decoder says what it makes of all these. ``control_ids`` are no part of an answer's text, and
    ``size`` is how many ids there are.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._decoder = tokenizer.decoder
        self._alphabet = _byte_of_character() if self._decoded("Ġ") == " " else {}
        self._names_bytes = self._decoded("<0x41>") == "A"
        self._behind = self._decoded(LETTER, LETTER).removeprefix(LETTER)
        self._known: dict[int, bytes] = {}
        self.control_ids = frozenset(i for i, token in tokenizer.get_added_tokens_decoder().items() if token.special)
        self.size = tokenizer.get_vocab_size(with_added_tokens=True)

    def bytes_of(self, token_id: int, *, begins: bool = False) -> bytes:
        """What ``token_id`` stands for, behind other text or where it ``begins`` one. Nothing for what is no token."""
        if begins:
            return self._spelled(token_id, begins=True)
        known = self._known.get(token_id)
        if known is None:
            known = self._known[token_id] = self._spelled(token_id, begins=False)
        return known

    def text_of(self, token_ids: Sequence[int]) -> str:
        """The whole text of ``token_ids``, control tokens by their names."""
        spelled = [self.bytes_of(token_id, begins=not index) for index, token_id in enumerate(token_ids)]
        return b"".join(spelled).decode(errors="replace")

    def encode(self, text: str) -> list[int]:
        """Ids of a ``text`` that stands behind another."""
        wanted = text.encode()
        for before in BEFORE:
            known, ids = self._encoded(before), self._encoded(before + text)
            new = ids[len(known) :]
            if ids[: len(known)] == known and b"".join(map(self.bytes_of, new)) == wanted:
                return new
        return self._encoded(text)  # a normalizer writes it in another way wherever it stands

    def _encoded(self, text: str) -> list[int]:
        return list(self._tokenizer.encode(text, add_special_tokens=False).ids)

    def _spelled(self, token_id: int, *, begins: bool) -> bytes:
        token = self._tokenizer.id_to_token(token_id)
        if token is None:
            return b""
        if self._alphabet and all(character in self._alphabet for character in token):
            return bytes(self._alphabet[character] for character in token)
        before = () if begins else (LETTER,)
        decoded = self._decoded(*before, token, LETTER).removesuffix(self._behind)
        text = decoded if begins else decoded.removeprefix(LETTER)
        named = NAME_OF_A_BYTE.fullmatch(token) if self._names_bytes and text else None
        return bytes.fromhex(named[1]) if named else text.encode()

    def _decoded(self, *tokens: str) -> str:
        """As ``Tokenizer.decode`` joins them."""
        return str(self._decoder.decode(list(tokens))) if self._decoder else " ".join(tokens)


@lru_cache(maxsize=1)
def _byte_of_character() -> dict[str, int]:
    """The byte each character of a byte-level BPE vocabulary stands for (GPT-2's table)."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    table = {chr(byte): byte for byte in printable}
    others = (byte for byte in range(256) if byte not in printable)
    return table | {chr(256 + offset): byte for offset, byte in enumerate(others)}
