"""Keeps text from outside from becoming control tokens."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import accumulate, pairwise
from typing import Any

LONE_SURROGATE = re.compile("[\ud800-\udfff]")  # no character, and nothing a tokenizer can encode


class ControlTokens:
    """What must not be read as a control token in a text.

    What a template takes apart and joins is no control token either, nor is what it writes in other letters: capitals
    and small ones count as the same. ``sought`` are texts that it looks for, and has to find as they are.
    """

    def __init__(self, tokens: Collection[str], sought: Collection[str]) -> None:
        self._tokens = re.compile(alternatives(tokens), re.IGNORECASE)
        firsts = alternatives({token[:1] for token in tokens})
        self._sought_or_first = re.compile(f"(?:{alternatives(sought)})|((?i:{firsts}))")

    def guarded(self, text: str, mark: str, joint: str) -> str:
        """``text`` with ``mark`` inside each of the tokens, and ``joint`` behind all that one could begin with."""
        text = self._tokens.sub(lambda found: found[0][0] + mark + found[0][1:], whole_text(text))
        return self._sought_or_first.sub(lambda found: found[0] + joint if found[1] else found[0], text)

    def parts(self, text: str, mark: str, joint: str) -> Iterator[str]:
        """``text`` without marks, cut where it must be. Each part is to be encoded by itself."""
        for part in text.split(mark):
            *words, last = part.split(joint)
            joints = list(accumulate(map(len, words)))
            part = "".join((*words, last))
            tokens = self._tokens.finditer(part) if joints else ()
            cuts = [
                at for found in tokens for at in joints[slice(*(bisect_right(joints, end) for end in found.span()))]
            ]
            yield from (part[start:end] for start, end in pairwise((0, *cuts, len(part))))


class Guard:
    """Guards the texts of one conversation with marks of its own, which are in none of them."""

    def __init__(self, control: ControlTokens, mark: str, joint: str) -> None:
        self._control = control
        self._mark = mark
        self._joint = joint

    def text(self, text: str) -> str:
        return self._control.guarded(text, self._mark, self._joint)

    def parts(self, text: str) -> Iterator[str]:
        """Of text that holds guarded text, each to be encoded by itself."""
        return self._control.parts(text, self._mark, self._joint)

    def entries(self, value: Mapping[str, object]) -> dict[str, Any]:
        """``value`` with every text in it guarded."""
        return {self.text(key): self._value(item) for key, item in value.items()}

    def _value(self, value: object) -> object:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return self.entries(value)
        if isinstance(value, list):
            return [self._value(item) for item in value]
        return value


def whole_text(text: str) -> str:
    """``text`` with half characters replaced."""
    return LONE_SURROGATE.sub("\ufffd", text)


def alternatives(texts: Iterable[str]) -> str:
    """A pattern of the longest of ``texts`` first, which matches nothing where there are none."""
    return "|".join(re.escape(text) for text in sorted(texts, key=len, reverse=True)) or "(?!)"
