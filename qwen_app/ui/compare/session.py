"""What the compare tab keeps for one browser tab."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field

from qwen_app.ui.compare.comparison import Comparison, Vote
from qwen_app.ui.shared.answer_slot import AnswerSlot

MOST_KEPT = 200  # comparisons


@dataclass(slots=True)
class CompareSession:
    """``done`` are the comparisons so far, the last one is shown."""

    slot: AnswerSlot = field(default_factory=AnswerSlot)
    done: list[Comparison] = field(default_factory=list)

    def stop(self) -> None:
        self.slot.stop()

    def add(self, comparison: Comparison) -> None:
        self.done = [*self.done, comparison][-MOST_KEPT:]

    def vote(self, vote: Vote) -> None:
        """For the comparison that is shown; a second vote takes the place of the first."""
        if self.done:
            self.done = [*self.done[:-1], dataclasses.replace(self.done[-1], vote=vote)]
