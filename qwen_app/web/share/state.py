"""What is known of the public link, and the note by which ``./start.sh status`` learns it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

NOTE = Path("run/link")


@dataclass(frozen=True, slots=True)
class LinkState:
    """``url`` where the link is open; else ``problem`` says why not, and is empty while it is being opened."""

    url: str = ""
    problem: str = ""

    @property
    def line(self) -> str:
        """For people, in one line."""
        return self.url or (f"none: {self.problem}" if self.problem else "being opened")


def write_note(state: LinkState) -> None:
    """Where it cannot be written, only ``status`` is the poorer."""
    with suppress(OSError):
        NOTE.write_text(state.line + "\n", encoding="utf-8")


def read_note() -> str:
    """The line of the running app's link; empty where it has none."""
    with suppress(OSError, ValueError):
        return NOTE.read_text(encoding="utf-8").strip()
    return ""


def remove_note() -> None:
    with suppress(OSError):
        NOTE.unlink(missing_ok=True)
