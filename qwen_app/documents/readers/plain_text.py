"""Text, Markdown, JSON and source code: their own lines, in parts that can be cited."""

from __future__ import annotations

import math
import re

from qwen_app.documents.document import Section
from qwen_app.documents.refusal import LIMIT_SECTIONS

LINES_A_PART = 100
_HEADING = re.compile(r"^ {0,3}#{1,6} +(\S.*)$")
_FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})")


def read_lines(text: str) -> list[Section]:
    """Parts of LINES_A_PART lines, of more where there are very many; joined by line breaks they are ``text`` again."""
    lines = text.split("\n")
    part = max(LINES_A_PART, math.ceil(len(lines) / LIMIT_SECTIONS))
    return [_lines_section(lines, first, min(first + part, len(lines))) for first in range(0, len(lines), part)]


def read_markdown(text: str) -> list[Section]:
    """A part a heading, numbered; text without headings, or of hardly anything else, is read by its lines."""
    parts: list[tuple[str, list[str]]] = [("", [])]
    fence = ""
    for line in text.split("\n"):
        found = _FENCE.match(line)
        if found and not fence:
            fence = found[1]
        elif found and found[1].startswith(fence):
            fence = ""
        heading = None if fence else _HEADING.match(line)
        if heading:
            parts.append((_title(heading[1]), []))
        parts[-1][1].append(line)
    if len(parts) == 1 or len(parts) > LIMIT_SECTIONS:
        return read_lines(text)
    filled = [part for part in parts if any(line.strip() for line in part[1])]
    return [Section("section", number, number, "\n".join(part[1]), part[0]) for number, part in enumerate(filled, 1)]


def _title(heading: str) -> str:
    """Without the signs that may close it behind a blank."""
    title = heading.rstrip()
    closed = title.rstrip("#")
    return closed.rstrip() if closed.endswith(" ") else title


def _lines_section(lines: list[str], first: int, end: int) -> Section:
    return Section("lines", first + 1, end, "\n".join(lines[first:end]))
