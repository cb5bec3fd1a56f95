"""What the tools tab keeps for one browser tab."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from qwen_app.agent_loop import ToolRun
from qwen_app.messages import ToolCall
from qwen_app.tools.builtin import BuiltinTool, builtin_tools, run_call
from qwen_app.tools.csv_table import CsvTable, read_csv
from qwen_app.ui.shared.answer_slot import AnswerSlot
from qwen_app.ui.shared.strings import Texts
from qwen_app.ui.tools.view import ToolsView, state_html, steps_html


@dataclass(slots=True)
class ToolSession:
    """The last run is kept for a new look."""

    slot: AnswerSlot = field(default_factory=AnswerSlot)
    table: CsvTable | None = None
    table_name: str = ""
    run: ToolRun | None = None
    runnable: tuple[str, ...] = ()
    elapsed_s: float = 0.0

    def stop(self) -> None:
        self.slot.stop()

    def builtin(self) -> dict[str, BuiltinTool]:
        return {one.tool.name: one for one in builtin_tools(self.table)}

    def implementations(self) -> dict[str, Callable[[ToolCall], str]]:
        """What can be run here, by name."""
        builtin = self.builtin()
        return {name: partial(run_call, tools=builtin) for name in builtin}

    def load(self, path: Path) -> None:
        """Keep the table of an uploaded file. Raises ValueError with a sentence for people."""
        try:
            self.table = read_csv(path.read_bytes())
        finally:
            path.unlink(missing_ok=True)
        self.table_name = path.name

    def picture(self, texts: Texts) -> ToolsView:
        """The last run, once it is over; while one goes on, it draws itself."""
        if self.run is None:
            return ToolsView(steps_html(ToolRun(), (), over=False, texts=texts), state="")
        if self.slot.busy:
            return ToolsView()
        steps = steps_html(self.run, self.runnable, over=True, texts=texts)
        return ToolsView(steps, state=state_html(self.run, self.elapsed_s, over=True, texts=texts))
