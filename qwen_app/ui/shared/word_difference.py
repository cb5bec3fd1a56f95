"""Where two answers differ, word by word."""

from __future__ import annotations

import re
from collections import Counter
from difflib import Match, SequenceMatcher
from html import escape

LIMIT_PIECES = 3000  # words and blanks of each answer; to look for one stretch takes time as the square of it
LIMIT_STEPS = 12_000_000  # of all looks: the longest stretch of two answers of one word alone takes nine million
_WORD = re.compile(r"[\u3400-\u9fff\u3040-\u30ff]|\s+|[^\s\u3400-\u9fff\u3040-\u30ff]+")  # Chinese has no blanks


def words_of(text: str) -> list[str]:
    """``text`` in pieces that a difference is made of; together they are the text."""
    return _WORD.findall(text)


class _BoundedMatcher(SequenceMatcher[str]):
    """Looks for the longest stretch that both have, then before and behind it, until LIMIT_STEPS are taken: what is
    left counts as changed.

    A look is at the range alone, where the library goes through every place in the whole answer that a piece has.
    Answers without a word in common, whose blanks are alike, took time as the cube of their length.
    """

    def __init__(self, old: list[str], new: list[str]) -> None:
        super().__init__(None, old, new, autojunk=False)
        self._old, self._new = old, new
        self._steps_left = LIMIT_STEPS

    def find_longest_match(self, alo: int = 0, ahi: int | None = None, blo: int = 0, bhi: int | None = None) -> Match:
        old, new = self._old[alo:ahi], self._new[blo:bhi]
        places = Counter(new)
        self._steps_left -= len(new) + sum(1 + places[piece] for piece in old)
        if self._steps_left < 0:
            return Match(alo, blo, 0)
        place, new_place, size = SequenceMatcher(None, old, new, autojunk=False).find_longest_match()
        return Match(alo + place, blo + new_place, size)


def difference_html(left: str, right: str) -> str:
    """Both as one text: what is at the left alone as ``del``, what is at the right alone as ``ins``; empty where the
    answers are too long.

    Costs up to a second: call it in a thread.
    """
    old, new = words_of(left), words_of(right)
    if max(len(old), len(new)) > LIMIT_PIECES:
        return ""
    parts = []
    for kind, start, end, new_start, new_end in _BoundedMatcher(old, new).get_opcodes():
        gone, come = escape("".join(old[start:end])), escape("".join(new[new_start:new_end]))
        if kind == "equal":
            parts.append(gone)
        else:
            parts += [f"<del>{gone}</del>" if gone else "", f"<ins>{come}</ins>" if come else ""]
    return "".join(parts)
