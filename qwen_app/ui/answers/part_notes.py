"""What was noted of documents that were read in parts: a fold under the answer, a line with its pages for each part."""

from __future__ import annotations

from qwen_app.summaries.values import DocumentSummary, PartNote
from qwen_app.ui.markdown.typed import letters_html
from qwen_app.ui.shared.strings import Texts


def part_notes_html(summary: DocumentSummary | None, texts: Texts) -> str:
    """The notes so far; empty where there are none."""
    if summary is None or not summary.notes:
        return ""
    key = "notes_all" if len(summary.notes) == summary.parts else "notes_some"
    read = texts("notes_read", tokens=f"{summary.tokens:,}", seconds=f"{summary.seconds:.1f}")
    told = f"{texts(key, number=len(summary.notes), count=summary.parts)} · {read}"
    several = len({note.document for note in summary.notes}) > 1
    lines = "".join(_line(note, several, texts) for note in summary.notes)
    return f'<details class="run-line notes"><summary>{told}</summary><dl>{lines}</dl></details>'


def _line(note: PartNote, several: bool, texts: Texts) -> str:
    place = note.place.strip("[]")
    name = f"{note.document} · {place}" if several else place
    return f"<dt>{letters_html(name)}</dt><dd>{letters_html(note.text or texts('notes_nothing'))}</dd>"
