"""Style sheets: a rule that names a class of Gradio's stands in gradio.css, where whoever raises Gradio looks."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import qwen_app.ui
from qwen_app.ui.shared.theme import PRINT_STYLE, STYLES

UI = Path(qwen_app.ui.__file__).parent
TONES = {"good", "bad", "tight", "over", "unsure", "rare"}  # put in where the text says how something went
LENS_PARTS = {
    "system",
    "kept",
    "pinned",
    "draft",
    "free",
    "reserve",
    "trimmed",
    "dropped",
}  # of its bar, by what they hold
SET_BY_SCRIPTS = {
    *("dark", "translating", "pending", "sending", "sheet", "palette"),
    *("settings-open", "settings-folded"),
}


def classes(sheet: Path) -> set[str]:
    css = re.sub(r"/\*.*?\*/", "", sheet.read_text(encoding="utf-8"), flags=re.DOTALL)
    selectors = re.findall(r"([^{}]+)\{", css)
    return {name for selector in selectors for name in re.findall(r"\.([a-zA-Z][\w-]*)", selector)}


def test_every_sheet_is_served() -> None:
    assert {*STYLES, PRINT_STYLE} == set(UI.rglob("*.css"))


@pytest.mark.parametrize("sheet", [path for path in STYLES if path.name != "gradio.css"], ids=lambda path: path.name)
def test_classes_are_the_pages_own(sheet: Path) -> None:
    code = "\n".join(path.read_text(encoding="utf-8") for path in UI.rglob("*.py"))
    given = {name for names in re.findall(r'class(?:es)?="([^"]*)"', code) for name in names.split()}
    scripts = "\n".join(path.read_text(encoding="utf-8") for path in UI.rglob("*.js"))
    given |= {name for names in re.findall(r'"([\w -]+)"', scripts) for name in names.split()}
    assert classes(sheet) - given - TONES - LENS_PARTS - SET_BY_SCRIPTS == set()
