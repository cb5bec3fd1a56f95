"""Keeps text from outside from becoming control tokens."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

LONE_SURROGATE = re.compile("[\ud800-\udfff]")  # no character, and nothing a tokenizer can encode


class Guard:
    """Puts ``mark`` inside all that a tokenizer would read as one of ``tokens``.

    Cut at the marks, and each part encoded by itself, the text is the same and holds none of them.
    """

    def __init__(self, tokens: re.Pattern[str], mark: str) -> None:
        self._tokens = tokens
        self._mark = mark

    def text(self, text: str) -> str:
        return self._tokens.sub(lambda found: found[0][0] + self._mark + found[0][1:], whole_text(text))

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


def any_of(texts: Iterable[str]) -> re.Pattern[str]:
    """Matches the longest of ``texts``, and nothing where there are none."""
    longest_first = sorted(texts, key=len, reverse=True)
    return re.compile("|".join(re.escape(text) for text in longest_first) or r"(?!)")
