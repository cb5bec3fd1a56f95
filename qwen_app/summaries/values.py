"""What is known of documents that are read in parts: notes, the step being done, and the same as JSON."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Literal

from pydantic import JsonValue, TypeAdapter, ValidationError

from qwen_app.documents.document import Section
from qwen_app.documents.marks import mark


@dataclass(frozen=True, slots=True)
class PartNote:
    """What the model noted of a part. ``first`` and ``last`` are its sections at both ends, without their text."""

    document: str
    first: Section
    last: Section
    text: str

    @property
    def place(self) -> str:
        """The part's mark, such as ``[pages 9-16]``."""
        return place_of(self.first, self.last)


@dataclass(frozen=True, slots=True)
class DocumentSummary:
    """The notes so far of ``parts`` parts (0: not cut yet), in reading order. ``joined`` are the notes that the answer
    is made from: the same, or fewer where these did not fit. ``tokens`` were read for them in ``seconds``."""

    notes: tuple[PartNote, ...] = ()
    parts: int = 0
    joined: tuple[PartNote, ...] = ()
    tokens: int = 0
    seconds: float = 0.0

    @property
    def ready(self) -> bool:
        """Whether all was read, so that the answer can be written."""
        return bool(self.joined)


@dataclass(frozen=True, slots=True)
class ReadingStep:
    """One of several requests on the way to an answer begins: ``number`` of ``count``. ``place`` is the part's mark."""

    kind: Literal["part", "join", "answer"]
    number: int = 1
    count: int = 1
    place: str = ""


_SUMMARY = TypeAdapter(DocumentSummary)


def summary_json(summary: DocumentSummary) -> dict[str, JsonValue]:
    dumped: dict[str, JsonValue] = _SUMMARY.dump_python(summary, mode="json")
    return dumped


def read_summary_json(value: object) -> DocumentSummary | None:
    """What ``summary_json`` made; None for anything else, which an imported chat may hold."""
    try:
        return _SUMMARY.validate_python(value)
    except ValidationError:
        return None


def place_of(first: Section, last: Section) -> str:
    """The mark of all from ``first`` to ``last``: ``[page 3]``, ``[pages 3-8]``, ``[rows 1-200: Sales]``."""
    if first.kind != last.kind or (first.title != last.title and first.kind in ("rows", "lines")):
        return f"{mark(first)} – {mark(last)}"
    if first.kind in ("rows", "lines"):
        return mark(dataclasses.replace(first, last=last.last))
    if first.first == last.last:
        return mark(dataclasses.replace(first, title=""))
    return f"[{first.kind}s {first.first}-{last.last}]"
