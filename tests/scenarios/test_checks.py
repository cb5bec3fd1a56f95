from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwen_app.messages import ToolCall
from qwen_app.scenarios.tasks import SUMMARY_CHARACTERS, scenarios
from qwen_app.scenarios.values import TaskAnswer
from qwen_app.scenarios.white_paper import white_paper
from tests.scenarios.answers import RIGHT, SUMMARY, WRONG

KNOWN = {scenario.key: scenario for scenario in scenarios()}


@pytest.mark.parametrize(
    ("key", "outcome"), [(key, outcome) for key, outcomes in RIGHT.items() for outcome in outcomes]
)
def test_right_answers_pass(key: str, outcome: TaskAnswer) -> None:
    verdict = KNOWN[key].check(outcome)
    assert verdict.passed, verdict.reason.told("en")


@pytest.mark.parametrize(("key", "outcome", "said"), WRONG)
def test_wrong_answers_fail_and_it_is_said_why(key: str, outcome: TaskAnswer, said: str) -> None:
    verdict = KNOWN[key].check(outcome)
    assert not verdict.passed
    assert said in verdict.reason.told("en")
    assert verdict.reason.told("zh") != verdict.reason.told("en")


def test_every_scenario_has_an_answer_that_passes() -> None:
    assert set(RIGHT) == set(KNOWN)
    assert {key for key, _, _ in WRONG} >= set(KNOWN) - {"refusal_drug"}


@pytest.mark.parametrize("key", KNOWN)
@given(text=st.text(), arguments=st.text())
def test_no_answer_breaks_a_check(key: str, text: str, arguments: str) -> None:
    verdict = KNOWN[key].check(TaskAnswer(text, (ToolCall("call_1", "get_weather", arguments),)))
    assert verdict.reason.told("en")
    assert verdict.reason.told("zh")


def test_the_white_paper_is_long_and_the_summary_is_not() -> None:
    assert 33_000 < len(white_paper()) < 42_000  # about 12,000 tokens of English with figures
    assert len(SUMMARY) <= SUMMARY_CHARACTERS
    assert white_paper() == white_paper()
