"""What the performance tab keeps for one browser tab."""

from __future__ import annotations

from dataclasses import dataclass, field

from qwen_app.performance.report import PerformanceReport
from qwen_app.ui.shared.answer_slot import AnswerSlot


@dataclass(slots=True)
class PerformanceSession:
    """The last run is kept for a new look."""

    slot: AnswerSlot = field(default_factory=AnswerSlot)
    report: PerformanceReport | None = None

    def stop(self) -> None:
        self.slot.stop()
