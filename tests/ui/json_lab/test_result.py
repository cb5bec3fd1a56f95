from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwen_app.errors import EngineError
from qwen_app.messages import Failed, Finished, FinishReason, Timings, Usage
from qwen_app.ui.json_lab.result import LabRun, Result, summarize, tree_text, validate_answer

pytestmark = pytest.mark.anyio

SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}


def end(reason: FinishReason = "stop", *, closed: bool = False) -> Finished:
    return Finished(reason, Usage(1, 1), Timings(0, 0, 0), closed=closed)


@pytest.mark.parametrize(
    ("text", "finished", "outcome"),
    [
        ('{"a": 1}', end(), "valid"),
        ('{"a": 1}', end("length", closed=True), "closed"),
        ('{"a": 1}', end("deadline"), "closed"),
        ('{"a": "x"}', end(), "wrong"),
        ("Sure! {}", end(), "wrong"),
        ('{"a"', end("length"), "cut"),
        ('{"a": 1}', end("cancelled"), "stopped"),
        ('{"a": 1}', None, "stopped"),
        ('{"a"', Failed(EngineError("It broke."), '{"a"'), "failed"),
    ],
)
async def test_outcomes(text: str, finished: Finished | Failed | None, outcome: str) -> None:
    assert (await validate_answer(text, SCHEMA, finished, "ada")).outcome == outcome


async def test_what_is_wrong_names_its_place() -> None:
    result = await validate_answer('{"a": "x"}', SCHEMA, end(), "ada")
    assert "$.a" in result.problem
    assert not result.valid


def run(text: str, *, valid: bool = True) -> LabRun:
    return LabRun(True, text, Result("valid" if valid else "wrong"))


def test_answers_that_differ_in_blanks_and_order_agree() -> None:
    summary = summarize([run('{"a":1,"b":2}'), run('{ "b": 2, "a": 1 }'), run("no", valid=False)])
    assert (summary.runs, summary.valid) == (3, 2)
    assert math.isclose(summary.agreement, 2 / 3)


def test_no_runs_no_summary() -> None:
    assert summarize([]).agreement == 0.0


@given(st.lists(st.sampled_from(["{}", "[]", "x"]), min_size=1, max_size=10))
def test_agreement_is_a_share(texts: list[str]) -> None:
    summary = summarize([run(text) for text in texts])
    assert math.isclose(summary.agreement, max(map(texts.count, texts)) / len(texts))


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists, max_leaves=8))
def test_trees_are_json_or_nothing(document: object) -> None:
    text = tree_text(document)
    if text:
        assert json.loads(text) == document


@pytest.mark.parametrize("document", [math.nan, [math.inf], "\ud800", {"\udfff": 1}])
def test_what_json_has_no_text_for_has_no_tree(document: object) -> None:
    assert tree_text(document) == ""
