from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import AsyncGenerator

import pytest

from qwen_app.errors import EngineError
from qwen_app.messages import GenerationRequest, JsonSchema
from qwen_app.service import Service
from qwen_app.testing.scripted_engine import Chooser, Script, ScriptedEngine
from qwen_app.ui.json_lab.actions import RUNS, JsonLabActions
from qwen_app.ui.json_lab.session import JsonLabSession
from qwen_app.ui.json_lab.task import JsonTask
from qwen_app.ui.json_lab.view import JsonLabView
from qwen_app.ui.shared.strings import Texts

pytestmark = pytest.mark.anyio

SCHEMA = '{"type": "object",\n "properties": {"name": {"type": "string"}},\n "required": ["name"]}'
TASK = JsonTask("Who is it?", SCHEMA, strict=True, constrained=True, temperature=0.0, max_tokens=64)


def answer(request: GenerationRequest) -> Script:
    return Script(('{"name"', ': "Ada"', "}") if request.grammar else ("It is ", "Ada."))


def json_lab(script: Script | Chooser = answer) -> tuple[JsonLabActions, ScriptedEngine, JsonLabSession]:
    engine = ScriptedEngine(script)
    return JsonLabActions(Service(engine)), engine, JsonLabSession()


async def views(running: AsyncGenerator[JsonLabView, None]) -> list[JsonLabView]:
    return [view async for view in running]


async def test_a_run_ends_in_a_result_tree_and_raw_text() -> None:
    actions, engine, session = json_lab()
    shown = await views(actions.run(session, TASK, "ada", "en"))
    last = shown[-2]
    assert "Form valid" in str(last.outcome)
    assert json.loads(str(last.tree)) == {"name": "Ada"}
    assert last.raw == '{"name": "Ada"}'
    assert (shown[0].running, shown[-1].running) == (True, False)
    request = engine.requests[0]
    assert request.user == "ada"
    assert isinstance(request.grammar, JsonSchema)
    assert request.grammar.text == json.dumps(json.loads(SCHEMA))
    assert request.messages[-1].content == "Who is it?"
    assert request.grammar.text in request.messages[0].content


async def test_without_the_constraint_the_prompt_is_the_same() -> None:
    actions, engine, session = json_lab()
    await views(actions.run(session, TASK, "ada", "en"))
    await views(actions.run(session, dataclasses.replace(TASK, constrained=False), "ada", "en"))
    free, bound = engine.requests[1], engine.requests[0]
    assert free.grammar is None
    assert free.messages == bound.messages
    assert "Not valid" in session.outcome(Texts("en"))


async def test_runs_with_and_without_the_constraint() -> None:
    actions, _, session = json_lab()
    shown = await views(actions.repeat(session, TASK, "ada", "en"))
    assert len(session.runs) == 2 * RUNS
    assert [run.result.valid for run in session.runs] == [True] * RUNS + [False] * RUNS
    tables = [view.runs for view in shown if view.runs is not None]
    assert f"Run 1 of {2 * RUNS}" in tables[0]
    assert "5 / 5 · 100%" in tables[-1]
    assert "0 / 5 · 0%" in tables[-1]


async def test_stop_ends_a_run_and_those_to_come() -> None:
    actions, engine, session = json_lab(Script(("{", *(" " * 5000)), token_s=0.01))
    running = actions.repeat(session, dataclasses.replace(TASK, max_tokens=4000), "ada", "en")
    async for view in running:
        if (view.raw or "").startswith("{"):
            session.stop()
    assert engine.cancelled == 1
    assert session.runs == []
    assert not session.slot.busy
    assert "Stopped before its end" in session.outcome(Texts("en"))


async def test_a_second_run_waits_for_nobody() -> None:
    actions, engine, session = json_lab(Script(("{", *(" " * 5000)), token_s=0.01))
    running = actions.run(session, TASK, "ada", "en")
    await anext(running)
    assert len(await views(actions.run(session, TASK, "ada", "en"))) == 1
    session.stop()
    await views(running)
    assert len(engine.requests) <= 1


@pytest.mark.parametrize(
    ("task", "sentence"),
    [
        (dataclasses.replace(TASK, prompt=" "), "Write a prompt first."),
        (dataclasses.replace(TASK, schema="{"), "not valid JSON"),
        (dataclasses.replace(TASK, schema='{"$ref": "http://x.invalid"}'), "/$ref leaves the schema"),
        (dataclasses.replace(TASK, prompt="word " * 9000), "context length is 8192 tokens"),
    ],
)
async def test_what_cannot_be_asked_is_a_sentence(task: JsonTask, sentence: str) -> None:
    actions, _, session = json_lab()
    shown = await views(actions.run(session, task, "ada", "en"))
    assert sentence in str(shown[-1].outcome)
    assert shown[-1].running is False
    assert not session.slot.busy


async def test_a_failure_keeps_what_was_written() -> None:
    script = Script(('{"name"', ': "A', "da"), error=EngineError("The engine broke."), error_at=2)
    actions, _, session = json_lab(script)
    shown = await views(actions.run(session, TASK, "ada", "en"))
    assert "The engine broke." in str(shown[-1].outcome)
    assert [view.raw for view in shown if view.raw is not None][-1] == '{"name": "A'


async def test_a_fault_nobody_foresaw_is_a_sentence_too(caplog: pytest.LogCaptureFixture) -> None:
    def broken(request: GenerationRequest) -> Script:
        raise RuntimeError("secret detail")

    actions, _, session = json_lab(broken)
    shown = await views(actions.run(session, TASK, "ada", "en"))
    assert "Something went wrong" in str(shown[-1].outcome)
    assert "secret" not in str(shown[-1].outcome)


async def test_schemas_are_checked_without_a_model() -> None:
    actions, engine, _ = json_lab()
    assert "can be enforced" in await actions.check(SCHEMA, True, "ada", "en")
    unknown = '{"type": "array", "items": {"type": "string"}, "contains": {"const": "a"}}'
    refused = await actions.check(unknown, True, "ada", "en")
    assert "contains" in refused
    assert "/contains" in refused
    loose = await actions.check('{"type": "array", "contains": {"const": 1}}', False, "ada", "en")
    assert "What cannot be enforced of it is checked afterwards." in loose
    assert "结构不是有效的 JSON：第 1 行第 2 列" in await actions.check("{", True, "ada", "zh")
    assert engine.requests == []


@pytest.mark.parametrize(
    "schema",
    [
        '{"pattern": "("}',
        '{"pattern": "(?P<n>a)\\\\k<n>"}',
        '{"patternProperties": {"[": {}}}',
        '{"$ref": "#x"}',
        '{"$ref": 5}',
        '{"$id": "::bad"}',
        '{"$schema": "https://schemas.example/x"}',
        '{"multipleOf": 0}',
        '{"required": [1]}',
    ],
)
async def test_what_the_libraries_say_of_a_schema_is_said_in_chinese(schema: str) -> None:
    actions, *_ = json_lab()
    for strict in (True, False):
        said = await actions.check(schema, strict, "ada", "zh")
        assert "✗" in said
        assert re.search(r"[a-z]+ [a-z]+ [a-z]+", re.sub(r"<[^>]*>", "", said)) is None
