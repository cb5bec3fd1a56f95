"""Incremental detokenization: token ids to text that never shows half a character."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from codecs import getincrementaldecoder

from qwen_app.engine.local.steps.spelling import Spelling


class Detokenizer:
    """Text of one growing answer, which holds back a character until it is whole. One that never is, is not shown.

    With ``continues`` there is text before the answer, else it ``begins`` one until its first token is there.
    """

    def __init__(self, spelling: Spelling, *, continues: bool = False) -> None:
        self._spelling = spelling
        self._reader = getincrementaldecoder("utf-8")("replace")
        self._ids: list[int] = []
        self._characters = 0
        self._whole_ids = array("I")  # how many ids end with a whole character, in the order they came
        self._whole_characters = array("I")  # and how many characters that are
        self.begins = not continues

    def add(self, token_id: int) -> str:
        """Text that became certain with ``token_id``."""
        self._ids.append(token_id)
        text = "" if token_id in self._spelling.control_ids else self._read(token_id)
        self._characters += len(text)
        if not self._reader.getstate()[0]:
            self._whole_ids.append(len(self._ids))
            self._whole_characters.append(self._characters)
        return text

    def _read(self, token_id: int) -> str:
        spelled = self._spelling.bytes_of(token_id, begins=self.begins)
        self.begins = False
        return self._reader.decode(spelled)

    def ids_of(self, text: str) -> tuple[int, ...]:
        """The ids that spell ``text``, a beginning of the answer; where it ends inside a token, its end encoded anew.

        Empty where not even the first character is whole.
        """
        place = bisect_right(self._whole_characters, len(text)) - 1
        if place < 0:
            return ()
        rest = text[self._whole_characters[place] :]
        return (*self._ids[: self._whole_ids[place]], *self._spelling.encode(rest))
