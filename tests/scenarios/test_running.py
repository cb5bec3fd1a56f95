from __future__ import annotations

from contextlib import aclosing
from html.parser import HTMLParser

import pytest

from qwen_app.errors import EngineError
from qwen_app.messages import GenerationRequest, ToolCallDelta
from qwen_app.scenarios.report import ScenarioReport
from qwen_app.scenarios.running import run_scenarios
from qwen_app.scenarios.tasks import scenarios
from qwen_app.scenarios.values import ScenarioResult
from qwen_app.service import Service
from qwen_app.testing.scripted_engine import Script, ScriptedEngine
from tests.scenarios.answers import RIGHT

pytestmark = pytest.mark.anyio
BY_QUESTION = {scenario.messages[-1].content: scenario.key for scenario in scenarios()}


def right(request: GenerationRequest) -> Script:
    outcome = RIGHT[BY_QUESTION[request.messages[-1].content]][0]
    calls = [ToolCallDelta(0, call.id, call.name, call.arguments) for call in outcome.calls]
    return Script((outcome.text,) if outcome.text else (), calls)


async def results(engine: ScriptedEngine, *keys: str) -> tuple[ScenarioResult, ...]:
    chosen = [scenario for scenario in scenarios() if not keys or scenario.key in keys]
    async with aclosing(run_scenarios(Service(engine), chosen, "ada")) as runs:
        snapshots = [run async for run in runs]
    assert [run.number for run in snapshots] == sorted(run.number for run in snapshots)
    return snapshots[-1].results


async def test_all_pass_where_every_answer_is_right() -> None:
    found = await results(ScriptedEngine(right, context_tokens=32_768))
    assert {result.scenario.key: result.state for result in found} == dict.fromkeys(RIGHT, "passed")
    assert all(result.total_s > 0 and result.prompt_tokens > 0 for result in found)


async def test_what_does_not_fit_is_not_asked() -> None:
    engine = ScriptedEngine(right, context_tokens=2048)
    (result,) = await results(engine, "summary")
    assert result.state == "does_not_fit"
    assert "2,048" in result.reason.told("en")
    assert engine.requests == []


async def test_what_breaks_says_nothing_of_the_model_and_the_next_is_asked() -> None:
    def act(request: GenerationRequest) -> Script:
        return (
            Script(error=EngineError("It {broke}.")) if "Ann and Bo" in request.messages[-1].content else right(request)
        )

    first, second = await results(ScriptedEngine(act, context_tokens=8192), "meeting", "table")
    assert (first.state, first.reason.told("en")) == ("broke", "It {broke}.")
    assert second.state == "passed"


class Closed(HTMLParser):
    """Every element that is opened is closed, in order."""

    VOID = ("meta", "line", "rect", "circle", "polyline")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag


async def test_the_report_is_one_file_with_every_verdict() -> None:
    found = await results(ScriptedEngine(right, context_tokens=4096))
    report = ScenarioReport(ScriptedEngine().info(), found)
    page, text = report.html("en"), report.markdown("en")
    parser = Closed()
    parser.feed(page)
    assert parser.open == []
    assert "<svg" in page
    assert not any(word in page for word in ("<script", " src=", "href="))
    for scenario in scenarios():
        assert f"## {scenario.title.told('en')}: " in text
    assert "does not fit" in text
    assert "characters left out" in text
    assert "结论" in report.markdown("zh")
