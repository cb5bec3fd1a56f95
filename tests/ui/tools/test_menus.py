from __future__ import annotations

import pytest

from qwen_app.tools.builtin import builtin_tools
from qwen_app.ui.shared.strings import Texts
from qwen_app.ui.tools.menus import NAMED, call_choices, tool_choice


@pytest.mark.parametrize(
    ("choice", "mode", "name"),
    [("auto", "auto", None), ("required", "required", None), ("none", "none", None), (f"{NAMED}mine", "named", "mine")],
)
def test_choices(choice: str, mode: str, name: str | None) -> None:
    chosen = tool_choice(choice)
    assert (chosen.mode, chosen.name or None) == (mode, name)


def test_every_choice_offered_means_something_of_its_own() -> None:
    tools = [one.tool for one in builtin_tools()]
    offered = call_choices(tools, Texts("en"))
    assert len({tool_choice(value) for _, value in offered}) == len(offered) == 3 + len(tools)
