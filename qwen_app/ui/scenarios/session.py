"""What the scenarios tab keeps for one browser tab."""

from __future__ import annotations

from dataclasses import dataclass, field

from qwen_app.scenarios.values import ScenarioResult
from qwen_app.ui.shared.answer_slot import AnswerSlot


@dataclass(slots=True)
class ScenarioSession:
    """The last result of each scenario, by its key."""

    slot: AnswerSlot = field(default_factory=AnswerSlot)
    results: dict[str, ScenarioResult] = field(default_factory=dict)

    def stop(self) -> None:
        self.slot.stop()
