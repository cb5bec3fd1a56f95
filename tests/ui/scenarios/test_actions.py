from __future__ import annotations

import re
from collections.abc import AsyncGenerator

import pytest

from qwen_app.service import Service
from qwen_app.testing.scripted_engine import Script, ScriptedEngine
from qwen_app.ui.scenarios.actions import ALL, ScenarioActions
from qwen_app.ui.scenarios.session import ScenarioSession
from qwen_app.ui.scenarios.view import ScenariosView
from qwen_app.ui.shared.strings import Texts

pytestmark = pytest.mark.anyio
RIGHT = Script(("Answer: ", "10 km <b>"))


async def views(running: AsyncGenerator[ScenariosView, None]) -> list[ScenariosView]:
    return [view async for view in running]


async def test_one_click_ends_in_a_verdict() -> None:
    tab, session = ScenarioActions(Service(ScriptedEngine(RIGHT))), ScenarioSession()
    shown = await views(tab.run(session, "meeting", "ada", "en"))
    assert (shown[0].running, shown[-1].running) == (True, False)
    assert "1 of 1 pass." in str(shown[-1].state)
    assert '<span class="result good">pass</span>' in str(shown[-1].cards)
    assert "&lt;b&gt;" in str(shown[-1].cards)


async def test_all_are_asked_and_told_in_both_languages() -> None:
    tab, session = ScenarioActions(Service(ScriptedEngine(RIGHT, context_tokens=4096))), ScenarioSession()
    last = (await views(tab.run(session, ALL, "ada", "en")))[-1]
    assert "1 of 11 pass." in str(last.state)
    assert "does not fit" in str(last.cards)
    chinese = str(tab.picture(session, Texts("zh")).cards)
    assert "放不下" in chinese
    assert re.search(r'scen-time">[\d.]+ 秒<', chinese)
    assert not re.search(r'scen-time">[\d.]+ s<', chinese)
    assert tab.report(session, "html", "zh").startswith("<!doctype html>")
    assert tab.report(session, "markdown", "en").startswith("# What scripted can do here")


async def test_there_is_no_report_of_nothing() -> None:
    assert ScenarioActions(Service(ScriptedEngine())).report(ScenarioSession(), "html", "en") == ""


async def test_stop_keeps_what_was_said_and_a_second_click_does_nothing() -> None:
    engine = ScriptedEngine(Script(("word ",) * 500, token_s=0.05))
    tab, session = ScenarioActions(Service(engine)), ScenarioSession()
    shown = []
    async for view in tab.run(session, ALL, "ada", "en"):
        shown.append(view)
        if "word" in str(view.state):
            assert [again.running for again in await views(tab.run(session, "table", "ada", "en"))] == [None]
            session.stop()
    assert "0 of 1 pass." in str(shown[-1].state)
    assert "stopped" in str(shown[-1].cards)
    assert shown[-1].running is False
