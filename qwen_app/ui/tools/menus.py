"""What can be chosen on the tools tab: tools that are ready to use, and which calls the model must make."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from qwen_app.messages import Tool, ToolChoice
from qwen_app.ui.shared.strings import Texts

NAMED = "tool:"  # before a tool's name in the choices
TITLES = {
    "calculate": "tool_calculate",
    "current_time": "tool_current_time",
    "convert_units": "tool_convert_units",
    "example_weather": "tool_example_weather",
    "lookup_table": "tool_lookup_table",
    "search_files": "tool_search_files",
}
MODES = {"auto": "choice_auto", "required": "choice_required", "none": "choice_none"}


@dataclass(frozen=True, slots=True)
class Menus:
    """What follows from the definitions: which of the boxes are ticked, None for those that are, the choices of calls,
    and the one made."""

    ticked: list[str] | None
    choices: list[tuple[str, str]]
    chosen: str


def menus_for(tools: Sequence[Tool] | None, known: Collection[str], chosen: str, texts: Texts) -> Menus:
    """``known`` are the built-in tools. A choice that is no longer there becomes the model's own. ``tools`` are None
    while the definitions cannot be read: then what is ticked and chosen stays."""
    if tools is None:
        names, ticked = [chosen.removeprefix(NAMED)] if chosen.startswith(NAMED) else [], None
    else:
        names = [tool.name for tool in tools]
        ticked = [name for name in names if name in known]
    choices = call_choices(names, texts)
    kept = chosen if chosen in [value for _, value in choices] else "auto"
    return Menus(ticked, choices, kept)


def tool_titles(tools: Sequence[Tool], texts: Texts) -> list[tuple[str, str]]:
    """The boxes for built-in tools."""
    return [(texts(TITLES[tool.name]), tool.name) for tool in tools]


def call_choices(names: Sequence[str], texts: Texts) -> list[tuple[str, str]]:
    """What can be asked for: the modes, and each tool by its name."""
    modes = [(texts(key), mode) for mode, key in MODES.items()]
    return modes + [(texts("choice_named", name=name), NAMED + name) for name in names]


def tool_choice(chosen: str) -> ToolChoice:
    """What one of ``call_choices`` means."""
    if chosen.startswith(NAMED):
        return ToolChoice("named", chosen.removeprefix(NAMED))
    modes: dict[str, ToolChoice] = {"required": ToolChoice("required"), "none": ToolChoice("none")}
    return modes.get(chosen, ToolChoice("auto"))
