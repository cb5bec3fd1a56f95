"""Documents cut into parts that each fit one request: whole sections where they fit, and nothing is lost.

A part holds consecutive sections of one document. A section that is too long alone is cut where its text ends by
itself, and each piece keeps its section's mark.
"""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass

from qwen_app.documents.cutting import cut
from qwen_app.documents.document import Document, Section
from qwen_app.documents.marks import marked_text

FEWEST_TOKENS = 320  # of a part: a mark with a long title takes most of them
CHARACTERS_AT_ONCE = 8  # a token: longer texts are cut before they are counted, for they are too long anyway
SHORTER = 0.9  # a cut aims a little below the bound, so that it holds at the first try

Count = Callable[[str], Awaitable[int]]  # the tokens of a text


@dataclass(frozen=True, slots=True)
class DocumentPart:
    """``sections`` of the document called ``document``; ``tokens`` bounds what they take with their marks."""

    document: str
    sections: tuple[Section, ...]
    tokens: int


async def split(documents: Sequence[Document], limit_tokens: int, count: Count) -> tuple[DocumentPart, ...]:
    """The parts of all documents, in reading order, each of at most ``limit_tokens`` (FEWEST_TOKENS or more)."""
    parts: list[DocumentPart] = []
    for document in documents:
        held: list[Section] = []
        tokens = 0
        for section in document.sections:
            async for piece, size in _pieces(section, limit_tokens, count):
                if held and tokens + size > limit_tokens:
                    parts.append(DocumentPart(document.name, tuple(held), tokens))
                    held, tokens = [], 0
                held.append(piece)
                tokens += size
        if held:
            parts.append(DocumentPart(document.name, tuple(held), tokens))
    return tuple(parts)


def grouped(sizes: Sequence[int], limit: int) -> list[range]:
    """Neighbours together, as many as ``limit`` holds: places in ``sizes``. One that is too large stands alone."""
    groups: list[range] = []
    start = held = 0
    for place, size in enumerate(sizes):
        if place > start and held + size > limit:
            groups.append(range(start, place))
            start, held = place, 0
        held += size
    return [*groups, range(start, len(sizes))] if sizes else groups


async def _pieces(section: Section, limit_tokens: int, count: Count) -> AsyncGenerator[tuple[Section, int], None]:
    """The section, or what it has to be cut into, each with its size."""
    longest = limit_tokens * CHARACTERS_AT_ONCE
    if len(section.text) <= longest:
        size = await count(marked_text((section,)) + "\n")
        if size <= limit_tokens or len(section.text) < 2:
            yield section, size
            return
        longest = max(1, int(len(section.text) * limit_tokens / size * SHORTER))
    for text in cut(section.text, longest):
        async for piece in _pieces(dataclasses.replace(section, text=text), limit_tokens, count):
            yield piece
