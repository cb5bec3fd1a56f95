"""A part of a document, chosen by its pages, slides, rows or lines: ``3-10, 15``."""

from __future__ import annotations

import dataclasses
import re

from qwen_app.documents.document import Document, Section

_PART = re.compile(r"(\d{1,9})(?:\s*[-–—~至到]\s*(\d{1,9}))?")
LIMIT_PARTS = 100


def read_range(text: str) -> tuple[tuple[int, int], ...]:
    """First and last number of each part. Raises ValueError for what is no range; empty text is the whole: ()."""
    pieces = [piece.strip() for piece in re.split(r"[,;，、；]", text) if piece.strip()]
    if len(pieces) > LIMIT_PARTS:
        raise ValueError(text)
    parts = []
    for piece in pieces:
        found = _PART.fullmatch(piece)
        first, last = (int(found[1]), int(found[2] or found[1])) if found else (1, 0)
        if not 1 <= first <= last:
            raise ValueError(text)
        parts.append((first, last))
    return tuple(parts)


def only(document: Document, wanted: tuple[tuple[int, int], ...]) -> Document:
    """``document`` with the sections that ``wanted`` touches; the whole where nothing is wanted."""
    if not wanted:
        return document
    kept = tuple(section for section in document.sections if any(_touches(section, part) for part in wanted))
    return dataclasses.replace(document, sections=kept)


def _touches(section: Section, part: tuple[int, int]) -> bool:
    return section.first <= part[1] and part[0] <= section.last
