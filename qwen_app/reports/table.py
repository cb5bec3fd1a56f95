"""A table of a report, as Markdown and as HTML."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape


@dataclass(frozen=True, slots=True)
class ReportTable:
    """``note`` stands below it."""

    title: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""

    def markdown(self) -> str:
        """With its title as a heading of the third rank."""
        lines: Sequence[Sequence[str]] = (self.heads, ["---"] * len(self.heads), *self.rows)
        table = "\n".join("| " + " | ".join(map(_cell, cells)) + " |" for cells in lines)
        return "\n\n".join([f"### {self.title}", table, *([self.note] if self.note else [])])

    def html(self) -> str:
        """In a box of its own that scrolls, by keys too."""
        heads = "".join(f"<th>{escape(head)}</th>" for head in self.heads)
        rows = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in self.rows)
        note = f'<p class="hint">{escape(self.note)}</p>' if self.note else ""
        title = escape(self.title)
        return (
            f'<h3>{title}</h3><div class="report-table" tabindex="0" role="region" aria-label="{title}">'
            f'<table class="runs"><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>{note}'
        )


def _cell(text: str) -> str:
    """Text that stays in its cell."""
    return " ".join(text.replace("|", "\\|").split())
