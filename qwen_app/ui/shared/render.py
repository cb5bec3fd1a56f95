"""Model and user text made safe to draw: no HTML, no diagrams, no images fetched from elsewhere.

The page's markdown renderer removes HTML it does not trust, but draws Mermaid fences after that step, and it fetches
images, whose addresses can carry a conversation away. An invisible character in the right places makes text of tags,
plain code of Mermaid fences and links of images; taking it out again gives back what was there. Code stays as it is
where it is code beyond doubt.

This is for reading: tags are seen as they were written. What may be drawn at all is held on the document, in
``allowed_dom.js``, with which no parser has to agree; the Content-Security-Policy is the third wall.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator

WORD_JOINER = "\u2060"  # drawn as nothing, breaks no line

_FENCE = re.compile(r" {0,3}(`{3,}(?=[^`]*$)|~{3,})(.*)")
_FENCE_MARK = re.compile(r"`{3}|~{3}")
_DIAGRAM = re.compile(r"m(?=ermaid)", re.IGNORECASE)
DOUBLED_FROM = 16  # backticks of a fence
_RUN_OR_BLANK_LINE = re.compile(r"`+|\n[ \t]*\n")
_TAG_OR_IMAGE = re.compile(r"<(?=[A-Za-z/!?])|!(?=\[)")


def safe_markdown(text: str) -> str:
    """``text`` as markdown that can neither run, draw nor fetch anything."""
    lines: list[str] = []
    fence = ""
    for raw in text.split("\n"):
        line = _without_diagram(raw)
        before, fence = fence, _fence_after(fence, line)
        lines.append(line if before or fence else _outside_code_spans(line))
    return "\n".join(lines)


def ends_in_fence(text: str) -> bool:
    """Whether what follows ``text`` would be code."""
    return bool(functools.reduce(_fence_after, text.split("\n"), ""))


def _fence_after(fence: str, line: str) -> str:
    """The fence that is open once ``line`` has come; empty where none is."""
    mark = _FENCE.match(line)
    if not fence:
        return mark[1] if mark else ""
    closes = mark and mark[1].startswith(fence) and not mark[2].strip()
    return "" if closes else fence


def verbatim(text: str, language: str = "") -> str:
    """``text`` as a block of code, letter by letter: drawing it costs next to nothing, however long it is."""
    fence = "```"
    while fence in text:
        fence += "`" if len(fence) < DOUBLED_FROM else fence  # few looks at a text of backticks alone
    return f"{fence}{language}\n{text}\n{fence}"


def typed_text(shown: str) -> str:
    """What was there before ``safe_markdown``."""
    return shown.replace(WORD_JOINER, "")


def code_spans(text: str) -> Iterator[tuple[int, int]]:
    """Where code spans begin and end (CommonMark 6.1): backticks, to the next run of as many in the same paragraph."""
    runs: list[tuple[int, int, int]] = []
    paragraph = 0
    for found in _RUN_OR_BLANK_LINE.finditer(text):
        if found[0][0] == "`":
            runs.append((found.start(), found.end(), paragraph))
        else:
            paragraph += 1
    closing: list[int | None] = [None] * len(runs)
    nearest: dict[tuple[int, int], int] = {}  # by length and paragraph, of the runs to the right
    for place in range(len(runs) - 1, -1, -1):
        start, stop, paragraph = runs[place]
        closing[place] = nearest.get((stop - start, paragraph))
        nearest[stop - start, paragraph] = place
    place = 0
    while place < len(runs):
        start, closed = runs[place][0], closing[place]
        if closed is None or text[start - 1 : start] == "\\":
            place += 1
        else:
            yield start, runs[closed][1]
            place = closed + 1


def _without_diagram(line: str) -> str:
    """``line`` with no fence before the word that makes a diagram of it."""
    mark = _FENCE_MARK.search(line)
    if mark is None:
        return line
    return line[: mark.end()] + _DIAGRAM.sub(rf"\g<0>{WORD_JOINER}", line[mark.end() :])


def _outside_code_spans(line: str) -> str:
    pieces: list[str] = []
    end = 0
    for start, stop in code_spans(line):
        pieces += [_disarm(line[end:start]), line[start:stop]]
        end = stop
    return "".join([*pieces, _disarm(line[end:])])


def _disarm(prose: str) -> str:
    return _TAG_OR_IMAGE.sub(rf"\g<0>{WORD_JOINER}", prose)
