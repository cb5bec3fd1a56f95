"""Reads back what marks tell: a document from which that can be done has lost nothing."""

from __future__ import annotations

import re

from qwen_app.documents.document import Section, SectionKind

_MARK = re.compile(r"^\[(page|slide|rows|lines|section) (\d+)(?:-(\d+))?(?:: (.*))?\]$")
_SET_APART = re.compile(r"^ (?= *\[(?:page|slide|rows|lines|section) \d+)", re.M)


def read_marks(text: str) -> tuple[Section, ...]:
    """The sections that ``marked_text`` wrote. What stands before the first mark is left out."""
    sections: list[Section] = []
    found: re.Match[str] | None = None
    lines: list[str] = []
    for line in [*text.split("\n"), None]:
        here = _MARK.match(line) if line is not None else None
        if line is not None and here is None:
            lines.append(line)
            continue
        if found is not None:
            sections.append(_section(found, "\n".join(lines)))
        found, lines = here, []
    return tuple(sections)


def _section(found: re.Match[str], text: str) -> Section:
    kind: SectionKind = found[1]  # type: ignore[assignment] # the pattern's alternatives are the kinds
    first = int(found[2])
    return Section(kind, first, int(found[3] or first), _SET_APART.sub("", text), found[4] or "")
