from __future__ import annotations

import json

import pytest

from qwen_app.agent_loop import Step, ToolRun
from qwen_app.errors import EngineError
from qwen_app.messages import ToolCall
from qwen_app.ui.shared.strings import Texts
from qwen_app.ui.tools.definitions import parse_tools
from qwen_app.ui.tools.view import answer_text, definitions_html, state_html, steps_html, table_html
from qwen_app.uploads.table_store import TableInfo

ENGLISH = Texts("en")
CALL = ToolCall("call_1", "calculate", '{"expression": "6*7"}')


def steps(*shown: Step, over: bool = True) -> str:
    return steps_html(ToolRun(steps=shown), {"calculate"}, over=over, texts=ENGLISH)


def test_a_step_has_the_name_the_arguments_and_the_result() -> None:
    html = steps(Step(1, CALL, '{"result": 42}', "So: "))
    for part in ("calculate", "6*7", "42", "So:", "good"):
        assert part in html


def test_a_result_that_is_said_again_comes_without_the_prompts_marks() -> None:
    echo = "<tool_response>\n42 is the answer.\n</tool_response>"
    called = Step(1, CALL, "42")
    assert answer_text(ToolRun(steps=(called,), text=echo, round=2)).strip() == "42 is the answer."
    assert answer_text(ToolRun(steps=(called,), text=echo, round=1)) == ""
    assert "tool_response" in answer_text(ToolRun(text=echo, round=1))  # somebody may ask about them


@pytest.mark.parametrize(
    ("step", "over", "key"),
    [
        (Step(1, CALL), False, "step_running"),
        (Step(1, CALL), True, "step_broken_off"),
        (Step(1, ToolCall("call_2", "elsewhere", "{}")), False, "step_not_run"),
        (Step(1, CALL, '{"error": "no"}'), True, "step_error"),
    ],
)
def test_a_step_says_how_far_it_came(step: Step, over: bool, key: str) -> None:
    assert ENGLISH(key) in steps(step, over=over)


def test_what_model_and_tools_say_is_text_never_html() -> None:
    evil = "<img src=x onerror=alert(1)>"
    call = ToolCall("call_1", evil, json.dumps({"a": evil}))
    html = steps(Step(1, call, json.dumps(evil), evil))
    assert "<img" not in html
    assert "&lt;img" in html


def test_half_written_arguments_are_shown_as_they_are() -> None:
    assert "&quot;expr" in steps(Step(1, ToolCall("call_1", "calculate", '{"expr')), over=False)


@pytest.mark.parametrize(
    ("run", "said"),
    [
        (ToolRun(end="answered", reason="stop"), ENGLISH("run_stop")),
        (ToolRun(end="rounds", round=6, reason="tool_calls"), ENGLISH("end_rounds", rounds=6)),
        (ToolRun(end="not_implemented", reason="tool_calls"), ENGLISH("end_not_implemented", rounds=1)),
        (ToolRun(end="failed", error=EngineError("The engine broke.")), "The engine broke."),
        (ToolRun(), ENGLISH("run_cancelled")),
    ],
)
def test_every_end_has_its_sentence(run: ToolRun, said: str) -> None:
    assert said in state_html(run, 1.0, over=True, texts=ENGLISH)


def test_tools_that_nobody_runs_here_are_named() -> None:
    tools = parse_tools('[{"type": "function", "function": {"name": "mine", "parameters": {"type": "object"}}}]')
    assert "mine" in definitions_html(None, tools, {"calculate"}, ENGLISH)
    assert "mine" not in definitions_html(None, tools, {"mine"}, ENGLISH)


def test_a_table_is_described_and_a_refusal_explained() -> None:
    html = table_html(TableInfo("ada", "1", "<people>.csv", ("name", "age"), 1), "", ENGLISH)
    assert "name, age" in html
    assert "<people>" not in html
    assert "too large" in table_html(None, "too large", ENGLISH)
    assert table_html(None, "", ENGLISH) == ""


def test_an_answer_without_a_call_says_so_where_a_tool_was_offered() -> None:
    run = ToolRun(text="42", end="answered", reason="stop")
    sentence = ENGLISH("end_without_tool")
    assert sentence in state_html(run, 1.0, over=True, texts=ENGLISH, offered=True)
    assert sentence not in state_html(run, 1.0, over=True, texts=ENGLISH)
    called = ToolRun(text="42", end="answered", reason="stop", steps=(Step(1, CALL, "42"),))
    assert sentence not in state_html(called, 1.0, over=True, texts=ENGLISH, offered=True)
