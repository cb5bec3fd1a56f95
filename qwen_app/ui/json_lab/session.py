"""What the JSON lab keeps for one browser tab."""

from __future__ import annotations

from dataclasses import dataclass, field

from qwen_app.ui.json_lab.result import LabRun, Result
from qwen_app.ui.json_lab.view import result_html
from qwen_app.ui.shared.answer_slot import AnswerSlot
from qwen_app.ui.shared.stream import Progress
from qwen_app.ui.shared.strings import Texts


@dataclass(slots=True)
class JsonLabSession:
    """The last answer and the last runs are kept for a new look."""

    slot: AnswerSlot = field(default_factory=AnswerSlot)
    progress: Progress | None = None
    result: Result | None = None
    runs: list[LabRun] = field(default_factory=list)

    def stop(self) -> None:
        self.slot.stop()

    def outcome(self, texts: Texts) -> str:
        if self.progress is None or self.result is None:
            return ""
        return result_html(self.result, self.progress, texts)
