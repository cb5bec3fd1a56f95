from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest

from qwen_app.messages import GenerationRequest, Message
from qwen_app.service import Service
from qwen_app.settings import Settings
from qwen_app.testing.scripted_engine import Script, ScriptedEngine
from qwen_app.ui.performance.actions import PerformanceActions, PerformanceTask
from qwen_app.ui.performance.session import PerformanceSession
from qwen_app.ui.performance.view import PerformanceView
from qwen_app.ui.shared.strings import Texts

pytestmark = pytest.mark.anyio
TASK = PerformanceTask((1024,), (1, 2))
REMOTE = {"engine": "remote", "base_url": "http://localhost:1/v1"}  # nothing of this machine is measured beside it


def actions(script: Script | None = None, **settings: object) -> PerformanceActions:
    script = script or Script(("word ",) * 400, token_s=0.001)
    return PerformanceActions(Service(ScriptedEngine(script)), Settings(**REMOTE | settings))  # type: ignore[arg-type]


async def views(running: AsyncGenerator[PerformanceView, None]) -> list[PerformanceView]:
    return [view async for view in running]


async def test_a_run_ends_with_charts_and_tables_to_paste() -> None:
    session = PerformanceSession()
    shown = await views(actions().run(session, TASK, "ada", "en"))
    assert (shown[0].running, shown[-1].running) == (True, False)
    assert "1 of 2" in str(shown[0].state)
    assert "Measured 2 of 2." in str(shown[-1].state)
    assert str(shown[-1].results).count("<svg") == 2
    assert "| tokens | users |" in str(shown[-1].paste)
    assert not session.slot.busy


async def test_the_last_run_is_told_in_the_other_language() -> None:
    session, tab = PerformanceSession(), actions()
    await views(tab.run(session, TASK, "ada", "en"))
    assert "速度" in str(tab.picture(session, Texts("zh")).results)


async def test_only_the_owner_may_where_there_is_a_login() -> None:
    tab = actions(auth="ada:secret,bob:secret")
    refused = await views(tab.run(PerformanceSession(), TASK, "bob", "en"))
    assert "owner" in str(refused[-1].state)
    assert refused[-1].running is False
    assert "Measured" in str((await views(tab.run(PerformanceSession(), TASK, "ada", "en")))[-1].state)


async def test_nobody_is_disturbed_unless_it_is_asked_for() -> None:
    service = Service(ScriptedEngine(Script(("word ",) * 2000, token_s=0.002)))
    tab = PerformanceActions(service, Settings(**REMOTE))  # type: ignore[arg-type]
    async with aclosing(service.generate(GenerationRequest("x", (Message("user", "hi"),), user="bob"))) as theirs:
        for _ in range(4):
            await anext(theirs)
        refused = await views(tab.run(PerformanceSession(), TASK, "ada", "en"))
        assert "being answered" in str(refused[-1].state)
        task = PerformanceTask((1024,), (1,), busy_too=True)
        assert "Measured 1 of 1." in str((await views(tab.run(PerformanceSession(), task, "ada", "en")))[-1].state)


async def test_one_measures_at_a_time_and_stop_keeps_what_there_is() -> None:
    tab, session = actions(Script(("word ",) * 400, token_s=0.02)), PerformanceSession()
    running = tab.run(session, PerformanceTask((1024, 2048), (1,)), "ada", "en")
    shown = []
    async for view in running:
        shown.append(view)
        if session.report is not None and session.report.run.answered:
            other = await views(tab.run(PerformanceSession(), TASK, "bob", "en"))
            assert "measuring already" in str(other[-1].state)
            session.stop()
    assert "Stopped after" in str(shown[-1].state)
    assert shown[-1].running is False


async def test_nothing_ticked_is_said() -> None:
    assert "at least one" in str(
        (await views(actions().run(PerformanceSession(), PerformanceTask((), ()), "a", "en")))[-1].state
    )
