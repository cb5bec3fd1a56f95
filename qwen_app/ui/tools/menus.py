"""What can be chosen on the tools tab: tools that are ready to use, and which calls the model must make."""

from __future__ import annotations

from collections.abc import Sequence

from qwen_app.messages import Tool, ToolChoice
from qwen_app.ui.shared.strings import Texts

NAMED = "tool:"  # before a tool's name in the choices
TITLES = {
    "calculate": "tool_calculate",
    "current_time": "tool_current_time",
    "convert_units": "tool_convert_units",
    "example_weather": "tool_example_weather",
    "lookup_table": "tool_lookup_table",
}
MODES = {"auto": "choice_auto", "required": "choice_required", "none": "choice_none"}


def tool_titles(tools: Sequence[Tool], texts: Texts) -> list[tuple[str, str]]:
    """The boxes for built-in tools."""
    return [(texts(TITLES[tool.name]), tool.name) for tool in tools]


def call_choices(tools: Sequence[Tool], texts: Texts) -> list[tuple[str, str]]:
    """What can be asked for: the modes, and each tool by its name."""
    modes = [(texts(key), mode) for mode, key in MODES.items()]
    return modes + [(texts("choice_named", name=tool.name), NAMED + tool.name) for tool in tools]


def tool_choice(chosen: str) -> ToolChoice:
    """What one of ``call_choices`` means."""
    if chosen.startswith(NAMED):
        return ToolChoice("named", chosen.removeprefix(NAMED))
    modes: dict[str, ToolChoice] = {"required": ToolChoice("required"), "none": ToolChoice("none")}
    return modes.get(chosen, ToolChoice("auto"))
