"""What the visitor asks for on the tools tab."""

from __future__ import annotations

from dataclasses import dataclass

from qwen_app.errors import RequestError
from qwen_app.messages import Tool, ToolChoice
from qwen_app.ui.shared.strings import Texts
from qwen_app.ui.tools.definitions import usable_tools
from qwen_app.ui.tools.menus import NAMED, tool_choice

FIRST_CALL = f"{NAMED}example_weather"  # a forced call that succeeds on the smallest model, too


@dataclass(frozen=True, slots=True)
class ToolTask:
    """A prompt and the tools for it. ``choice`` is one of ``menus.call_choices``."""

    prompt: str
    definitions: str
    choice: str
    temperature: float
    max_tokens: int

    def tool_choice(self) -> ToolChoice:
        return tool_choice(self.choice)

    async def checked_tools(self, texts: Texts, user: str) -> tuple[Tool, ...]:
        """The tools, tried out. RequestError for what cannot be asked, SchemaError for what cannot be offered."""
        if not self.prompt.strip():
            raise RequestError(texts("prompt_missing"))
        return await usable_tools(self.definitions, user)
