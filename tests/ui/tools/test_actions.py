from __future__ import annotations

import dataclasses
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from qwen_app.messages import GenerationRequest, ToolCallDelta
from qwen_app.service import Service
from qwen_app.testing.scripted_engine import Script, ScriptedEngine
from qwen_app.tools.builtin import builtin_tools
from qwen_app.ui.tools.actions import ToolActions
from qwen_app.ui.tools.definitions import with_tools
from qwen_app.ui.tools.session import ToolSession
from qwen_app.ui.tools.task import ToolTask
from qwen_app.ui.tools.view import ToolsView

pytestmark = pytest.mark.anyio

BUILTIN = {one.tool.name: one for one in builtin_tools()}
TASK = ToolTask("How much is 6*7?", with_tools("", BUILTIN, BUILTIN), "auto", temperature=0.0, max_tokens=64)


def calculating(request: GenerationRequest) -> Script:
    if request.messages[-1].role == "tool":
        return Script(("It is ", "42."))
    return Script((), [ToolCallDelta(0, "call_1", "calculate", '{"expression": "6*7"}')])


def tools_tab() -> tuple[ToolActions, ScriptedEngine, ToolSession]:
    engine = ScriptedEngine(calculating)
    return ToolActions(Service(engine)), engine, ToolSession()


async def views(running: AsyncGenerator[ToolsView, None]) -> list[ToolsView]:
    return [view async for view in running]


async def test_a_run_shows_the_call_its_result_and_the_answer() -> None:
    actions, engine, session = tools_tab()
    shown = await views(actions.run(session, TASK, "ada", "en"))
    assert "calculate" in str(shown[-1].steps)
    assert "42" in str(shown[-1].steps)
    assert '<div class="run-line">Finished' in str(shown[-1].state)
    assert any("It is 42." in str(view.answer) for view in shown)
    assert (shown[0].running, shown[-1].running) == (True, False)
    assert not session.slot.busy
    assert {tool.name for tool in engine.requests[0].tools} == set(BUILTIN)
    assert engine.requests[0].user == "ada"


@pytest.mark.parametrize(
    ("task", "said"),
    [
        (dataclasses.replace(TASK, prompt=" \n"), "write"),
        (dataclasses.replace(TASK, definitions="[{"), "JSON"),
        (dataclasses.replace(TASK, definitions='[{"type": "function"}]'), "function"),
    ],
)
async def test_what_cannot_be_asked_is_said_and_nothing_is_sent(task: ToolTask, said: str) -> None:
    actions, engine, session = tools_tab()
    shown = await views(actions.run(session, task, "ada", "en"))
    assert said.lower() in str(shown[-1].state).lower()
    assert shown[-1].running is False
    assert engine.requests == []
    assert not session.slot.busy


async def test_a_second_run_waits_for_the_first() -> None:
    actions, engine, session = tools_tab()
    first = actions.run(session, TASK, "ada", "en")
    await anext(first)
    assert len(await views(actions.run(session, TASK, "ada", "en"))) == 1
    session.stop()
    assert (await views(first))[-1].running is False
    assert len(engine.requests) <= 1


def test_an_uploaded_table_becomes_a_tool_and_the_file_is_removed(tmp_path: Path) -> None:
    session, file = ToolSession(), tmp_path / "people.csv"
    file.write_text("name,age\nAda,36\n")
    before = set(session.builtin())
    session.load(file)
    assert not file.exists()
    assert session.table_name == "people.csv"
    assert set(session.builtin()) >= before


def test_a_table_that_cannot_be_read_leaves_the_last_one(tmp_path: Path) -> None:
    session, good, bad = ToolSession(), tmp_path / "good.csv", tmp_path / "bad.csv"
    good.write_text("name\nAda\n")
    session.load(good)
    bad.write_bytes(b"\x00\xff\xfe\x00")
    with pytest.raises(ValueError, match=r"\w"):
        session.load(bad)
    assert not bad.exists()
    assert session.table_name == "good.csv"
