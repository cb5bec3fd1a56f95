"""What a step brought."""

from __future__ import annotations

from dataclasses import dataclass, field

from qwen_app.engine.local.steps.sequence import SequenceState
from qwen_app.errors import AppError
from qwen_app.messages import Event


@dataclass(slots=True)
class StepOutput:
    """Events, sequences that failed, and sequences that lost their slot and wait again."""

    events: list[tuple[SequenceState, Event]] = field(default_factory=list)
    failed: list[tuple[SequenceState, AppError]] = field(default_factory=list)
    preempted: list[SequenceState] = field(default_factory=list)

    def has_failed(self, sequence: SequenceState) -> bool:
        return any(one is sequence for one, _ in self.failed)
