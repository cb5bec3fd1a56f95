"""The README tells the truth where that can be checked."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from qwen_app.settings import Settings, flag
from qwen_app.testing.scripted_engine import Script, ScriptedEngine
from scripts.stand_in import TOKENS_PER_S
from tests.browser.serving import running_page

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def rows() -> dict[str, tuple[str, str]]:
    table = re.findall(r"^\| `(--[\w-]+)` \| (.*?) \| (.*) \|$", README, re.MULTILINE)
    return {name: (default, meaning) for name, default, meaning in table}


def test_every_setting_is_in_the_table() -> None:
    assert list(rows()) == [flag(name) for name in Settings.model_fields]


@pytest.mark.parametrize("name", Settings.model_fields)
def test_the_table_says_what_the_settings_say(name: str) -> None:
    field = Settings.model_fields[name]
    default, meaning = rows()[flag(name)]
    shown = {True: "on", False: "off"}[field.default] if isinstance(field.default, bool) else str(field.default or "")
    numbers = isinstance(field.default, int | float) and not isinstance(field.default, bool)
    assert default == (f"{field.default:g}" if numbers else shown or "none")
    assert meaning == field.description


def test_pictures_and_links_lead_somewhere() -> None:
    targets = re.findall(r"\]\((?!http)([^)#]+)\)", README)
    assert len(targets) >= 4
    assert [target for target in targets if not (ROOT / target).exists()] == []


def test_what_stands_where_is_there() -> None:
    section = README.split("## Where things are")[1].split("\n## ")[0]
    named = re.findall(r"`([\w./]+)`", section)
    assert len(named) >= 5
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_it_says_that_the_pictures_answers_are_written() -> None:
    said = f"a stand-in for the model says them, at about {TOKENS_PER_S:g} tokens a second (`scripts/pictures`)"
    assert said in " ".join(README.split())


@pytest.mark.slow
def test_the_examples_run(capsys: pytest.CaptureFixture[str]) -> None:
    examples = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len(examples) == 2
    with running_page(ScriptedEngine(Script(text=("Hello ", "back.")))) as url:
        for example in examples:
            exec(example.replace("http://127.0.0.1:7860", url), {})
            assert "Hello back." in capsys.readouterr().out
