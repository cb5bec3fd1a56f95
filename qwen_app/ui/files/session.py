"""What the files tab keeps for one browser tab."""

from __future__ import annotations

from dataclasses import dataclass, field

from qwen_app.knowledge.file_store import Collection
from qwen_app.knowledge.search import FoundPassage
from qwen_app.ui.shared.answer_slot import AnswerSlot
from qwen_app.ui.shared.handlers import Newest
from qwen_app.ui.shared.stream import Progress


@dataclass(slots=True)
class FilesSession:
    """The last answer and what it was made from, for a new look; the collection that documents of the chat ``arrived``
    in, until another is chosen; the ``looks`` at a collection, each change to one among them; ``dropping`` is the
    collection of which it was asked whether it shall be deleted."""

    slot: AnswerSlot = field(default_factory=AnswerSlot)
    passages: tuple[FoundPassage, ...] = ()
    progress: Progress | None = None
    arrived: str = ""
    dropping: Collection | None = None
    looks: Newest = field(default_factory=Newest)

    def stop(self) -> None:
        self.slot.stop()
