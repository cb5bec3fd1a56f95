from __future__ import annotations

from collections.abc import Mapping
from contextlib import aclosing
from typing import Any

import pytest

from qwen_app.agent_loop import LIMIT_ROUNDS, Implementation, ToolRun, run_tools
from qwen_app.errors import EngineError, OverBudget
from qwen_app.messages import GenerationRequest, Message, ToolCall, ToolCallDelta, ToolChoice
from qwen_app.service import Service
from qwen_app.testing.scripted_engine import Chooser, Script, ScriptedEngine
from qwen_app.tools.builtin import builtin_tools, run_call

pytestmark = pytest.mark.anyio

BUILTIN = {one.tool.name: one for one in builtin_tools()}


async def run_here(call: ToolCall) -> str:
    return run_call(call, BUILTIN)


RUNNING: Mapping[str, Implementation] = dict.fromkeys(BUILTIN, run_here)


def calling(*calls: tuple[str, str], text: tuple[str, ...] = ()) -> Script:
    """An answer of calls, the arguments of each in two pieces."""
    deltas = []
    for index, (name, arguments) in enumerate(calls):
        half = len(arguments) // 2
        deltas += [
            ToolCallDelta(index, f"call_{name}_{index}", name, arguments[:half]),
            ToolCallDelta(index, arguments=arguments[half:]),
        ]
    return Script(text=text, tool_calls=deltas)


def rounds(*scripts: Script) -> Chooser:
    """The first script for a fresh conversation, the next once there are results, and so on."""
    return lambda request: scripts[sum(1 for message in request.messages if message.role == "assistant")]


def asked(**change: Any) -> GenerationRequest:
    tools = tuple(one.tool for one in BUILTIN.values())
    return GenerationRequest("1", (Message("user", "How much?"),), tools=tools, **change)


async def last(
    engine: ScriptedEngine,
    request: GenerationRequest | None = None,
    running: Mapping[str, Implementation] = RUNNING,
) -> ToolRun:
    runs = [run async for run in run_tools(Service(engine), request or asked(), running)]
    assert [run.end for run in runs[:-1]] == [None] * (len(runs) - 1)
    return runs[-1]


async def test_a_call_then_an_answer() -> None:
    engine = ScriptedEngine(
        rounds(calling(("calculate", '{"expression": "6*7"}'), text=("So: ",)), Script(("42", ".")))
    )
    run = await last(engine)
    assert (run.end, run.text, run.round, run.reason) == ("answered", "42.", 2, "stop")
    [step] = run.steps
    assert (step.call.name, step.call.arguments, step.result) == (
        "calculate",
        '{"expression": "6*7"}',
        '{"result": 42}',
    )
    assert step.text == "So: "
    _, said, result = engine.requests[1].messages
    assert (said.role, said.content, said.tool_calls) == ("assistant", "So: ", (step.call,))
    assert (result.role, result.content, result.tool_call_id) == ("tool", step.result, step.call.id)
    assert engine.requests[0].request_id != engine.requests[1].request_id


async def test_text_and_calls_are_seen_as_they_come() -> None:
    engine = ScriptedEngine(rounds(calling(("calculate", '{"expression": "6*7"}')), Script(("4", "2"))))
    runs = [run async for run in run_tools(Service(engine), asked(), RUNNING)]
    arguments = [run.steps[0].call.arguments for run in runs if run.steps]
    assert arguments[0] != arguments[-1]
    assert arguments[-1].startswith(arguments[0])
    assert {"4", "42"} <= {run.text for run in runs}
    assert runs[-1].completion_tokens == 2


async def test_two_calls_in_one_round() -> None:
    two = calling(("calculate", '{"expression": "1+1"}'), ("example_weather", '{"city": "Paris"}'))
    engine = ScriptedEngine(rounds(two, Script(("Done",))))
    run = await last(engine)
    assert [step.round for step in run.steps] == [1, 1]
    assert "cloudy" in (run.steps[1].result or "")
    assert [message.role for message in engine.requests[1].messages] == ["user", "assistant", "tool", "tool"]


async def test_a_tool_nobody_runs_ends_the_loop_and_the_others_have_run() -> None:
    two = calling(("book_flight", '{"to": "Rome"}'), ("calculate", '{"expression": "1+1"}'))
    engine = ScriptedEngine(rounds(two))
    run = await last(engine)
    assert run.end == "not_implemented"
    assert [step.result for step in run.steps] == [None, '{"result": 2}']
    assert len(engine.requests) == 1


@pytest.mark.parametrize("arguments", ['{"expression": ', "[1]", "6*7"])
async def test_arguments_that_are_no_object_are_told_to_the_model(arguments: str) -> None:
    engine = ScriptedEngine(rounds(calling(("calculate", arguments)), Script(("Sorry",))))
    run = await last(engine)
    assert run.steps[0].call.arguments == arguments
    assert "JSON object" in (run.steps[0].result or "")
    assert run.text == "Sorry"
    assert engine.requests[1].messages[1].tool_calls[0].arguments == "{}"


async def test_what_a_tool_refuses_is_told_to_the_model() -> None:
    engine = ScriptedEngine(rounds(calling(("calculate", '{"expression": "1/0"}')), Script(("Sorry",))))
    run = await last(engine)
    assert "error" in (run.steps[0].result or "")
    assert run.end == "answered"


async def test_a_tool_that_breaks_does_not_break_the_loop() -> None:
    async def broken(_: ToolCall) -> str:
        raise OSError("secret path")

    engine = ScriptedEngine(rounds(calling(("calculate", '{"expression": "1"}')), Script(("Sorry",))))
    run = await last(engine, running={"calculate": broken})
    assert run.steps[0].result == '{"error": "The tool failed."}'
    assert run.end == "answered"


async def test_a_tool_that_takes_too_much_says_so_to_the_model() -> None:
    async def dear(_: ToolCall) -> str:
        raise OverBudget("time")

    engine = ScriptedEngine(rounds(calling(("calculate", '{"expression": "1"}')), Script(("Sorry",))))
    run = await last(engine, running={"calculate": dear})
    assert run.steps[0].result == '{"error": "This took too long. Use something simpler."}'
    assert run.end == "answered"


async def test_the_rounds_are_bounded() -> None:
    engine = ScriptedEngine(calling(("calculate", '{"expression": "1"}')))
    run = await last(engine)
    assert (run.end, run.round) == ("rounds", LIMIT_ROUNDS)
    assert len(engine.requests) == len(run.steps) == LIMIT_ROUNDS
    assert all(step.result for step in run.steps)


@pytest.mark.parametrize(
    ("given", "then"),
    [
        (ToolChoice("required", parallel=False), ToolChoice("auto", parallel=False)),
        (ToolChoice("named", "calculate"), ToolChoice("auto")),
        (ToolChoice("auto"), ToolChoice("auto")),
    ],
)
async def test_a_forced_call_is_forced_once(given: ToolChoice, then: ToolChoice) -> None:
    engine = ScriptedEngine(rounds(calling(("calculate", '{"expression": "1"}')), Script(("1",))))
    await last(engine, asked(tool_choice=given))
    assert [request.tool_choice for request in engine.requests] == [given, then]


async def test_a_failure_midway_keeps_what_there_is() -> None:
    breaking = Script(("half ", "more"), error=EngineError("It broke."), error_at=1)
    engine = ScriptedEngine(rounds(calling(("calculate", '{"expression": "6*7"}')), breaking))
    run = await last(engine)
    assert (run.end, run.text, str(run.error)) == ("failed", "half ", "It broke.")
    assert run.steps[0].result == '{"result": 42}'


async def test_a_conversation_that_outgrows_the_context_is_a_failure() -> None:
    run = await last(ScriptedEngine(context_tokens=20))
    assert run.end == "failed"
    assert "context" in str(run.error)


async def test_an_answer_is_never_longer_than_there_is_room() -> None:
    endless = Script(("word ",) * 500)
    engine = ScriptedEngine(rounds(calling(("calculate", '{"expression": "1"}')), endless), context_tokens=80)
    run = await last(engine)
    assert (run.end, run.reason) == ("answered", "length")
    (used,) = await engine.count_tokens([engine.requests[1].messages], engine.requests[1].tools)
    assert used + len(run.text.split()) == 80


async def test_closing_cancels() -> None:
    engine = ScriptedEngine(
        rounds(calling(("calculate", '{"expression": "1"}')), Script(("word",) * 1000, token_s=0.01))
    )
    async with aclosing(run_tools(Service(engine), asked(), RUNNING)) as runs:  # type: ignore[type-var]
        async for run in runs:
            if run.round == 2 and run.text:
                break
    assert engine.cancelled == 1
    assert engine.health().running == 0
