"""What a model is told at each step: to note what a part says, to join notes, to answer from them."""

from __future__ import annotations

from collections.abc import Sequence

from qwen_app.documents.marks import marked_text
from qwen_app.summaries.parts import DocumentPart
from qwen_app.summaries.values import PartNote

CITING = "After each statement name the place it comes from by its mark, such as [page 3]."


def part_prompt(part: DocumentPart, number: int, count: int, question: str) -> str:
    """Asks for notes on one part of a document."""
    text = marked_text(part.sections).replace("</part", "< /part")
    return (
        f'<part number="{number}" of="{count}" document="{part.document}">\n{text}\n</part>\n\n'
        f"This is part {number} of {count} of a document that is too long to be read at once. Note in a few sentences, "
        f"in the language of the request, what this part says that matters for the request. {CITING} Do not answer the "
        f"request yet; where the part says nothing of it, note its main point.\n\nRequest: {question}"
    )


def joining_prompt(notes: Sequence[PartNote], question: str) -> str:
    """Asks for fewer notes in the place of many."""
    return (
        f"{notes_text(notes)}\n\nThese are notes on neighbouring parts of a document. Join them to one note of a few "
        f"sentences, in the language of the request, and keep what matters for the request. Keep the marks of the "
        f"places, such as [page 3]. Do not answer the request yet.\n\nRequest: {question}"
    )


def with_notes(question: str, notes: Sequence[PartNote]) -> str:
    """The question with notes in the place of the documents; alone where there are none."""
    if not notes:
        return question
    return (
        f"{notes_text(notes)}\n\nThese are notes on all parts of the documents above, in reading order. Answer from "
        f"them alone. {CITING} What is not in there, say so.\n\n{question}"
    )


def notes_text(notes: Sequence[PartNote]) -> str:
    """All of ``notes``, each below the mark of its part, in a tag that nothing in them can close."""
    return f"<notes>\n{''.join(map(note_text, notes))}</notes>"


def note_text(note: PartNote) -> str:
    """A note as prompts hold it."""
    text = note.text.strip().replace("</notes", "< /notes") or "(nothing noted)"
    return f"{note.document} {note.place}\n{text}\n"
