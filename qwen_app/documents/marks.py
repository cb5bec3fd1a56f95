"""A document as one text with marks: a line such as ``[page 3]`` before each part, by which answers cite it.

No line of the document itself looks like a mark: one that would gets a blank before it, so that no file can pretend to
be another page, and the sections could be read back. Nothing else of the text is changed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from qwen_app.documents.document import Section

_LIKE_A_MARK = re.compile(r"^(?= *\[(?:page|slide|rows|lines|section) \d+)", re.M)
TITLE_CHARS = 80


def mark(section: Section) -> str:
    """The line before ``section``: ``[page 3]``, ``[rows 101-200: Sales]``."""
    numbers = str(section.first) if section.last == section.first else f"{section.first}-{section.last}"
    title = " ".join(section.title.split())[:TITLE_CHARS].replace("]", ")")
    return f"[{section.kind} {numbers}{': ' + title if title else ''}]"


def marked_text(sections: Sequence[Section]) -> str:
    """All of ``sections``, each below its mark."""
    return "\n".join(f"{mark(section)}\n{_LIKE_A_MARK.sub(' ', section.text)}" for section in sections)
