from __future__ import annotations

from typing import get_args

import pytest

from qwen_app.errors import SchemaError
from qwen_app.ui.json_lab.progress import JsonProgress, Stage
from qwen_app.ui.json_lab.result import Outcome, Trial, Verdict
from qwen_app.ui.json_lab.view import STAGES, VERDICTS, check_html, place_html, trials_html
from qwen_app.ui.shared.stream import Progress
from qwen_app.ui.shared.strings import Texts

EN = Texts("en")
HOSTILE = '<img src=x onerror="alert(1)">'


def test_every_stage_and_verdict_has_its_words() -> None:
    assert set(STAGES) == set(get_args(Stage))
    assert set(VERDICTS) == set(get_args(Outcome))


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
    table = trials_html([Trial(True, "x", Verdict("wrong", HOSTILE), 1, 0.1)], "", EN)
    assert "<img" not in table
    assert 'onerror="' not in table


def test_no_table_before_the_first_trial() -> None:
    assert trials_html([], "", EN) == ""


def test_a_check_shows_where() -> None:
    shown = check_html(SchemaError("Not so.", pointer="/a/<b>"), EN)
    assert "/a/&lt;b&gt;" in shown
    assert check_html(SchemaError("Wrong at /a.", pointer="/a"), EN).count("/a") == 1
