"""What the tools tab keeps for one browser tab."""

from __future__ import annotations

from dataclasses import dataclass, field

from qwen_app.agent_loop import ToolRun
from qwen_app.knowledge.file_search import search_definition
from qwen_app.messages import Tool
from qwen_app.tools.builtin import builtin_tools, lookup_definition
from qwen_app.ui.shared.answer_slot import AnswerSlot
from qwen_app.ui.shared.strings import Texts
from qwen_app.ui.tools.view import ToolsView, state_html, steps_html
from qwen_app.uploads.table_store import TableInfo


@dataclass(slots=True)
class ToolSession:
    """The last run is kept for a new look."""

    slot: AnswerSlot = field(default_factory=AnswerSlot)
    table: TableInfo | None = None
    run: ToolRun | None = None
    runnable: tuple[str, ...] = ()
    elapsed_s: float = 0.0
    offered: bool = False  # whether the last run had a tool to call

    def stop(self) -> None:
        self.slot.stop()

    def builtin(self) -> dict[str, Tool]:
        """What can be run here, by name; the lookup once there is a table."""
        tools = [*(one.tool for one in builtin_tools()), search_definition()]
        if self.table is not None:
            tools.append(lookup_definition(self.table.columns))
        return {tool.name: tool for tool in tools}

    def picture(self, texts: Texts) -> ToolsView:
        """The last run, once it is over; while one goes on, it draws itself."""
        if self.run is None:
            return ToolsView(steps_html(ToolRun(), (), over=False, texts=texts), state="")
        if self.slot.busy:
            return ToolsView()
        steps = steps_html(self.run, self.runnable, over=True, texts=texts)
        return ToolsView(
            steps, state=state_html(self.run, self.elapsed_s, over=True, texts=texts, offered=self.offered)
        )
