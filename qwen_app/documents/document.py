"""What was read out of a file: frozen values, and the same as JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydantic import JsonValue, TypeAdapter

SectionKind = Literal["page", "slide", "rows", "lines", "section"]
NoteCode = Literal[
    "bytes_damaged",
    "damaged_pages",
    "encoding_found",
    "encoding_unsure",
    "formulas_unsaved",
    "macros_ignored",
    "old_page_breaks",
    "other_kind",
    "scanned_pages",
]


@dataclass(frozen=True, slots=True)
class Note:
    """Something a reader of the document should know. ``values`` fill the gaps of the sentence named ``code``."""

    code: NoteCode
    values: dict[str, str]


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a document that an answer can cite: page 3, slide 4, rows 101 to 200 of a sheet, lines 1 to 100.

    ``first`` and ``last`` are numbers of ``kind``, counted from 1; they differ for rows and lines alone. ``title`` is a
    sheet's name, a slide's title or a heading, empty where there is none. Tables in ``text`` are Markdown's.
    """

    kind: SectionKind
    first: int
    last: int
    text: str
    title: str = ""


@dataclass(frozen=True, slots=True)
class Document:
    """``name`` is the file's, for show alone; ``kind`` its ending without the dot, as its bytes say; ``sections`` hold
    all of its text in reading order."""

    name: str
    kind: str
    sections: tuple[Section, ...]
    notes: tuple[Note, ...] = ()

    @property
    def pages(self) -> int:
        """How many pages or slides there are; 0 where the file has none."""
        return max((section.last for section in self.sections if section.kind in ("page", "slide")), default=0)

    @property
    def characters(self) -> int:
        return sum(len(section.text) for section in self.sections)


_DOCUMENT = TypeAdapter(Document)


def document_json(document: Document) -> dict[str, JsonValue]:
    """``document`` as JSON values."""
    dumped: dict[str, JsonValue] = _DOCUMENT.dump_python(document, mode="json")
    return dumped


def read_document_json(value: object) -> Document:
    """What ``document_json`` made. Raises pydantic's ValidationError for anything else."""
    return _DOCUMENT.validate_python(value)
