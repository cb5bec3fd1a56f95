"""A document as one text with marks: a line such as ``[page 3]`` before each part, by which answers cite it.

No line of the document itself looks like a mark: one that would gets a blank before it, so that no file can pretend to
be another page, and the sections can be read back. Nothing else of the text is changed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from qwen_app.documents.document import Section, SectionKind

_MARK = re.compile(r"^\[(page|slide|rows|lines|section) (\d+)(?:-(\d+))?(?:: (.*))?\]$")
_LIKE_A_MARK = re.compile(r"^(?= *\[(?:page|slide|rows|lines|section) \d+)", re.M)
_SET_APART = re.compile(r"^ (?= *\[(?:page|slide|rows|lines|section) \d+)", re.M)
TITLE_CHARS = 80


def mark(section: Section) -> str:
    """The line before ``section``: ``[page 3]``, ``[rows 101-200: Sales]``."""
    numbers = str(section.first) if section.last == section.first else f"{section.first}-{section.last}"
    title = " ".join(section.title.split())[:TITLE_CHARS].replace("]", ")")
    return f"[{section.kind} {numbers}{': ' + title if title else ''}]"


def marked_text(sections: Sequence[Section]) -> str:
    """All of ``sections``, each below its mark."""
    return "\n".join(f"{mark(section)}\n{_LIKE_A_MARK.sub(' ', section.text)}" for section in sections)


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
