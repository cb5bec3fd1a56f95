"""Where two answers differ, word by word."""

from __future__ import annotations

import re
from difflib import SequenceMatcher
from html import escape

LIMIT_PIECES = 3000  # words and blanks of each answer; finding the difference takes time as the square of it
_WORD = re.compile(r"[\u3400-\u9fff\u3040-\u30ff]|\s+|[^\s\u3400-\u9fff\u3040-\u30ff]+")  # Chinese has no blanks


def words_of(text: str) -> list[str]:
    """``text`` in pieces that a difference is made of; together they are the text."""
    return _WORD.findall(text)


def difference_html(left: str, right: str) -> str:
    """Both as one text: what is at the left alone as ``del``, what is at the right alone as ``ins``; empty where the
    answers are too long.

    Costs up to a second: call it in a thread.
    """
    old, new = words_of(left), words_of(right)
    if max(len(old), len(new)) > LIMIT_PIECES:
        return ""
    parts = []
    for kind, start, end, new_start, new_end in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        gone, come = escape("".join(old[start:end])), escape("".join(new[new_start:new_end]))
        if kind == "equal":
            parts.append(gone)
        else:
            parts += [f"<del>{gone}</del>" if gone else "", f"<ins>{come}</ins>" if come else ""]
    return "".join(parts)
