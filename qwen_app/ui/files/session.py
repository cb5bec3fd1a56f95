"""What the files tab keeps for one browser tab."""

from __future__ import annotations

from dataclasses import dataclass, field

from qwen_app.knowledge.search import FoundPassage
from qwen_app.ui.shared.answer_slot import AnswerSlot
from qwen_app.ui.shared.stream import Progress


@dataclass(slots=True)
class FilesSession:
    """The last answer and what it was made from, for a new look; the collection that documents of the chat ``arrived``
    in, until another is chosen; the number of the newest look at a collection, and of the one that is on the page."""

    slot: AnswerSlot = field(default_factory=AnswerSlot)
    passages: tuple[FoundPassage, ...] = ()
    progress: Progress | None = None
    arrived: str = ""
    newest_look: int = 0
    shown_look: int = 0

    def look(self) -> int:
        """The number of a look at a collection that begins now."""
        self.newest_look += 1
        return self.newest_look

    def is_news(self, look: int) -> bool:
        """Whether the look may be shown: not where one that began later, or a change, was shown meanwhile."""
        if look < self.shown_look:
            return False
        self.shown_look = look
        return True

    def stop(self) -> None:
        self.slot.stop()
