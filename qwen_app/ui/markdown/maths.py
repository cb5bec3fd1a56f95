"""Formulas in prose, marked so that the renderer sets these and nothing else.

Gradio hands every stretch between two delimiters to KaTeX, across code and sentences alike: ``$$`` is also the shell's
process id, and two prices in one line are no formula. So formulas are found here, by the rule that Pandoc has for
``$`` (a delimiter touches what it holds, and no digit follows it), and are given an invisible character at each end
that belongs to the delimiters the renderer is told. What stands between two single ``$`` may not read like a sentence.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from qwen_app.ui.shared.render import WORD_JOINER

DELIMITERS: list[dict[str, str | bool]] = [
    {"left": f"{WORD_JOINER}$$", "right": f"$${WORD_JOINER}", "display": True},
    {"left": f"{WORD_JOINER}\\[", "right": f"\\]{WORD_JOINER}", "display": True},
    {"left": f"{WORD_JOINER}\\(", "right": f"\\){WORD_JOINER}", "display": False},
    {"left": f"{WORD_JOINER}$", "right": f"${WORD_JOINER}", "display": False},
]
_OPENER = re.compile(
    r"(?<![\\$A-Za-z0-9_])(?:\$\$(?!\$)|\$(?=[^\s$]))"
    r"|(?<!\\)\\[\[(]"
    r"|\n[ \t]*(?=\n)"  # a blank line ends a paragraph
)
_BLANK_LINE = re.compile(r"\n[ \t]*\n")
_CLOSERS = {"$$": "$$", "$": "$", "\\[": "\\]", "\\(": "\\)"}
_NOT_AFTER = re.compile(r"[A-Za-z0-9_$(\[{]")  # $$x^2$$ in a sentence
_REST_OF_LINE = re.compile(r"[ \t.,;，。；]*$", re.MULTILINE)  # after $$ x^2 $$ as a whole line
_BRACED = re.compile(r"\{[^{}]*\}")  # \text{if } is TeX
_SENTENCE = re.compile(r"[^\x00-\u2fff]|(?<![\\A-Za-z])[A-Za-z]{3,}(?= )|(?<= )[A-Za-z]{3,}|[`|\n]")  # or two cells
_TAG = re.compile(r"<(?=[A-Za-z/!?])")


def mark_formulas(prose: str) -> str:
    """``prose`` with its formulas marked. Within them ``a<b`` gets a space, which TeX ignores and HTML needs."""
    pieces: list[str] = []
    end = 0
    for start, stop in _formulas(prose):
        pieces += [prose[end:start], WORD_JOINER, _TAG.sub("< ", prose[start:stop]), WORD_JOINER]
        end = stop
    return "".join([*pieces, prose[end:]])


def _formulas(prose: str) -> Iterator[tuple[int, int]]:
    """Where formulas begin and end. Every opener looks as far as its nearest closer, and no further than once."""
    place, paragraph_end = 0, -1
    never: set[str] = set()  # closers that the rest of the paragraph does not have
    while opener := _OPENER.search(prose, place):
        start, body = opener.span()
        if opener[0][0] == "\n":
            never.clear()
            place, paragraph_end = body, -1
            continue
        if paragraph_end < 0:
            blank = _BLANK_LINE.search(prose, body)
            paragraph_end = blank.start() if blank else len(prose)
        closer, place = _CLOSERS[opener[0]], body
        stop = -1 if closer in never else prose.find(closer, body, paragraph_end)
        if stop < 0:
            never.add(closer)
        elif _is_formula(prose, start, body, stop):
            place = stop + len(closer)
            yield start, place


def _is_formula(prose: str, start: int, body: int, stop: int) -> bool:
    inside = prose[body:stop]
    if not inside or prose[start] == "\\":
        return bool(inside)
    if body == start + 1:
        touches = not (inside[0].isspace() or inside[-1].isspace() or inside[-1] == "\\")
        return touches and not _NOT_AFTER.match(prose, stop + 1) and not _SENTENCE.search(_BRACED.sub("", inside))
    if not (inside[0].isspace() or inside[-1].isspace()):
        return not _NOT_AFTER.match(prose, stop + 2)
    first, *between, last = inside.split("\n") if "\n" in inside else ("x", "x")
    if between:  # on lines of its own
        return not first.strip(" \t") and not last.strip(" \t>")
    alone = prose[start - 1 : start] in ("", "\n") and bool(_REST_OF_LINE.match(prose, stop + 2))
    return alone and "\n" not in inside and bool(inside[1:-1]) and inside[0] in " \t" and inside[-1] in " \t"
