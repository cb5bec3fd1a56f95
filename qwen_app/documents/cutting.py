"""Cutting a text into pieces of a bounded length where it ends by itself. Nothing is lost.

The cut is made at the best place that keeps to the bound: before a heading, between paragraphs, lines, sentences,
words, anywhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

FEWEST_CHARACTERS = 400  # a cut leaves no less before it, where there is a choice
# Where to cut, best first. Each matches the end of what stays before the cut.
_CUTS = tuple(
    re.compile(pattern)
    for pattern in (
        r"\n(?=#{1,6} )",
        r"\n[ \t]*\n",
        r"\n",
        r"[。！？；]|[.!?;](?=\s)",
        r"[，、,]|\s",
    )
)


def cut(text: str, limit: int) -> Iterator[str]:
    """Pieces of at most ``limit`` characters that join to ``text``."""
    start = 0
    while len(text) - start > limit:
        end = _end_of_piece(text, start, limit)
        yield text[start:end]
        start = end
    if start < len(text):
        yield text[start:]


def _end_of_piece(text: str, start: int, limit: int) -> int:
    """The last of the best places within reach; the bound where there is none."""
    lowest = start + min(FEWEST_CHARACTERS, limit // 2)
    for cut_after in _CUTS:
        ends = [found.end() for found in cut_after.finditer(text, lowest, start + limit)]
        if ends:
            return ends[-1]
    return start + limit
