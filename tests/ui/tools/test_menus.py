from __future__ import annotations

import pytest

from qwen_app.tools.builtin import builtin_tools
from qwen_app.ui.shared.strings import Texts
from qwen_app.ui.tools.menus import NAMED, call_choices, menus_for, tool_choice


@pytest.mark.parametrize(
    ("choice", "mode", "name"),
    [("auto", "auto", None), ("required", "required", None), ("none", "none", None), (f"{NAMED}mine", "named", "mine")],
)
def test_choices(choice: str, mode: str, name: str | None) -> None:
    chosen = tool_choice(choice)
    assert (chosen.mode, chosen.name or None) == (mode, name)


def test_every_choice_offered_means_something_of_its_own() -> None:
    names = [one.tool.name for one in builtin_tools()]
    offered = call_choices(names, Texts("en"))
    assert len({tool_choice(value) for _, value in offered}) == len(offered) == 3 + len(names)


@pytest.mark.parametrize(("chosen", "name"), [(f"{NAMED}mine", "调用 mine"), ("none", "不调用"), ("", "由模型决定")])
def test_a_choice_made_stays_in_the_language_of_now_while_definitions_cannot_be_read(chosen: str, name: str) -> None:
    menus = menus_for(None, ["calculate"], chosen, Texts("zh"))
    assert menus.ticked is None
    assert (name, menus.chosen) in menus.choices
    assert menus.chosen == (chosen or "auto")


def test_a_choice_that_is_no_longer_there_becomes_the_models_own() -> None:
    tools = [one.tool for one in builtin_tools()]
    menus = menus_for(tools, [tools[0].name], f"{NAMED}mine", Texts("en"))
    assert (menus.chosen, menus.ticked) == ("auto", [tools[0].name])
