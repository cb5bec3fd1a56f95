from __future__ import annotations

import dataclasses
from collections.abc import AsyncGenerator

import pytest

from qwen_app.documents.document import Document, Section
from qwen_app.knowledge.knowledge_base import knowledge_in_memory
from qwen_app.messages import GenerationRequest, ToolCallDelta
from qwen_app.service import Service
from qwen_app.testing.scripted_engine import Script, ScriptedEngine
from qwen_app.tools.builtin import builtin_tools
from qwen_app.ui.tools.actions import ToolActions
from qwen_app.ui.tools.builtin_calls import BuiltinCalls
from qwen_app.ui.tools.definitions import parse_tools, with_tools
from qwen_app.ui.tools.session import ToolSession
from qwen_app.ui.tools.task import ToolTask
from qwen_app.ui.tools.view import ToolsView
from qwen_app.uploads.table_store import TableStore
from tests.knowledge.keeping import keep_in

pytestmark = pytest.mark.anyio

BUILTIN = {one.tool.name: one.tool for one in builtin_tools()}
TASK = ToolTask("How much is 6*7?", with_tools("", BUILTIN, BUILTIN), "auto", temperature=0.0, max_tokens=64)


def calculating(request: GenerationRequest) -> Script:
    if request.messages[-1].role == "tool":
        return Script(("It is ", "42."))
    return Script((), [ToolCallDelta(0, "call_1", "calculate", '{"expression": "6*7"}')])


def tools_tab() -> tuple[ToolActions, ScriptedEngine, ToolSession]:
    engine = ScriptedEngine(calculating)
    return ToolActions(Service(engine), BuiltinCalls(TableStore(), knowledge_in_memory())), engine, ToolSession()


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


def test_an_uploaded_table_becomes_a_tool_of_its_own_user_alone() -> None:
    tables, session = TableStore(), ToolSession()
    table_tool = BuiltinCalls(tables, knowledge_in_memory())
    table = tables.keep("ada", "people.csv", b"name,age\nAda,36\n", ("name", "age"), 1)
    before = set(session.builtin())
    with pytest.raises(ValueError, match="again"):
        table_tool.upload(session, table.id, "mallory", "[]")
    assert set(session.builtin()) == before
    (lookup,) = parse_tools(table_tool.upload(session, table.id, "ada", "[]"))
    assert lookup == session.builtin()["lookup_table"]
    assert lookup.parameters["properties"]["column"] == {"enum": ["name", "age"]}
    assert set(session.builtin()) >= before


def test_a_table_that_takes_the_place_of_another_frees_it() -> None:
    tables, session = TableStore(), ToolSession()
    table_tool = BuiltinCalls(tables, knowledge_in_memory())
    first, second = (tables.keep("ada", "a.csv", b"a\n1\n", ("a",), 1) for _ in range(2))
    table_tool.upload(session, first.id, "ada", "")
    table_tool.upload(session, second.id, "ada", "")
    assert tables.data(first) is None
    with pytest.raises(ValueError, match="again"):
        table_tool.upload(session, first.id, "ada", "")
    assert session.table == second


def looking_up(request: GenerationRequest) -> Script:
    if request.messages[-1].role == "tool":
        return Script((request.messages[-1].content,))
    return Script((), [ToolCallDelta(0, "call_1", "lookup_table", '{"column": "name", "contains": "ada"}')])


@pytest.mark.parametrize(("kept", "said"), [(True, '"age": "36"'), (False, "kept no longer")])
async def test_a_lookup_reads_the_bytes_that_are_kept(kept: bool, said: str) -> None:
    tables, session = TableStore(), ToolSession()
    table_tool = BuiltinCalls(tables, knowledge_in_memory())
    actions = ToolActions(Service(ScriptedEngine(looking_up)), table_tool)
    table = tables.keep("ada", "people.csv", b"name,age\nAda,36\n", ("name", "age"), 1)
    task = dataclasses.replace(TASK, definitions=table_tool.upload(session, table.id, "ada", ""))
    if not kept:
        tables.drop(table)
    await views(actions.run(session, task, "ada", "en"))
    assert session.run is not None
    assert said in str(session.run.steps[0].result)


@pytest.mark.parametrize(
    ("outcome", "said"),
    [("", "broke off"), ("[", "broke off"), ("[]", "broke off"), ('{"problem": "Too large."}', "Too large."),
     ('{"id": 7}', "again"), ("[" * 100_000, "broke off"), ('{"id": {"a": 1}}', "again")],
)  # fmt: skip
def test_whatever_a_browser_says_of_an_upload_is_a_sentence(outcome: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        BuiltinCalls(TableStore(), knowledge_in_memory()).take(ToolSession(), outcome, "ada", "[]")


async def test_the_visitors_own_files_are_searched() -> None:
    def searching(request: GenerationRequest) -> Script:
        if request.messages[-1].role == "tool":
            return Script((request.messages[-1].content,))
        return Script((), [ToolCallDelta(0, "call_1", "search_files", '{"query": "late payment"}')])

    base, session = knowledge_in_memory(), ToolSession()
    await keep_in(base, "ada", "work", Document("a.txt", "txt", (Section("lines", 1, 1, "A late payment costs 2 %."),)))
    actions = ToolActions(Service(ScriptedEngine(searching)), BuiltinCalls(TableStore(), base))
    tools = session.builtin()
    task = dataclasses.replace(TASK, definitions=with_tools("", {"search_files": tools["search_files"]}, tools))
    own = await views(actions.run(session, task, "somebody", "en", "ada"))
    assert "costs 2 %" in "".join(str(view.answer) for view in own)
    others = await views(actions.run(session, task, "somebody", "en", "bob"))
    assert "no files" in "".join(str(view.answer) for view in others)
