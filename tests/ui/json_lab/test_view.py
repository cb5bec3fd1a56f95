from __future__ import annotations

from typing import get_args

import pytest

from qwen_app.ui.json_lab.progress import JsonProgress, Stage
from qwen_app.ui.json_lab.result import LabRun, Outcome, Result
from qwen_app.ui.json_lab.view import OUTCOMES, STAGES, place_html, runs_html
from qwen_app.ui.shared.stream import Progress
from qwen_app.ui.shared.strings import Texts

EN = Texts("en")
HOSTILE = '<img src=x onerror="alert(1)">'


def test_every_stage_and_outcome_has_its_words() -> None:
    assert set(STAGES) == set(get_args(Stage))
    assert set(OUTCOMES) == set(get_args(Outcome))


@pytest.mark.parametrize(
    ("text", "path", "depth"), [('{"a": {"b": "x', "$.a.b", 2), ('{"list": [1, 2', "$.list[1]", 2), ("{", "$", 1)]
)
def test_where_the_answer_stands(text: str, path: str, depth: int) -> None:
    reader = JsonProgress()
    reader.feed(text)
    shown = place_html(Progress("writing", text, completion_tokens=7), reader.place, EN)
    assert f">{path}</code>" in shown
    assert f"depth {depth}" in shown
    assert "7 tokens" in shown


def test_keys_of_the_model_are_text() -> None:
    reader = JsonProgress()
    reader.feed('{"<b>": 1')
    assert "<b>" not in place_html(Progress("writing", "{"), reader.place, EN)


def test_problems_of_the_model_are_text() -> None:
    table = runs_html([LabRun(True, "x", Result("wrong", HOSTILE))], "", EN)
    assert "<img" not in table
    assert 'onerror="' not in table


def test_no_table_before_the_first_run() -> None:
    assert runs_html([], "", EN) == ""
