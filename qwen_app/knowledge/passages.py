"""Passages: what a search finds. A document's sections are cut where they end by themselves, and nothing is lost.

A passage never crosses a section, so that its mark (page 3, rows 1-100) is true of all of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from qwen_app.documents.cutting import cut
from qwen_app.documents.document import Document, Section
from qwen_app.documents.marks import mark

LIMIT_CHARACTERS = 1_200  # some 300 tokens of English, 800 of Chinese: several fit a small context
_HEADING = re.compile(r"^#{1,6} +(.+)$", re.M)


@dataclass(frozen=True, slots=True)
class Passage:
    """``place`` is the mark of its section, such as ``[page 3]``; ``title`` what stands above it: the file's name and
    the last heading before it."""

    place: str
    title: str
    text: str


def passages_of(document: Document) -> tuple[Passage, ...]:
    """The passages of ``document`` in reading order: of each section they join to its text. Blank ones are left out."""
    return tuple(
        passage
        for section in document.sections
        for passage in _of_section(section, document.name)
        if passage.text.strip()
    )


def _of_section(section: Section, name: str) -> Iterator[Passage]:
    heading = section.title
    for text in cut(section.text, LIMIT_CHARACTERS):
        first = _HEADING.match(text.lstrip())
        title = " · ".join(part for part in (name, first[1].strip() if first else heading) if part)
        yield Passage(mark(section), title, text)
        headings = _HEADING.findall(text)
        heading = headings[-1].strip() if headings else heading
