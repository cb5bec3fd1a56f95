"""Calls and their results, round after round, until the model answers in words: bounded, and without the page."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Literal

from qwen_app.errors import AppError
from qwen_app.messages import (
    Delta,
    Event,
    Failed,
    Finished,
    FinishReason,
    GenerationRequest,
    Message,
    ToolCall,
    ToolCallDelta,
    ToolChoice,
)
from qwen_app.service import Service
from qwen_app.tools.messages import parsed_arguments

log = logging.getLogger(__name__)

LIMIT_ROUNDS = 6
NO_OBJECT = '{"error": "The arguments must be a JSON object."}'
TOOL_BROKE = '{"error": "The tool failed."}'

Implementation = Callable[[ToolCall], Awaitable[str]]
LoopEnd = Literal["answered", "not_implemented", "rounds", "failed"]


@dataclass(frozen=True, slots=True)
class Step:
    """A call of round ``round`` (from 1). ``result`` is JSON text once the tool has run, ``text`` came before it."""

    round: int
    call: ToolCall
    result: str | None = None
    text: str = ""


@dataclass(frozen=True, slots=True)
class ToolRun:
    """The loop so far. ``text`` is that of the current round; ``event`` the newest; ``end`` is set on the last alone.

    ``not_implemented``: a call named a tool that nobody runs here. ``rounds``: ``LIMIT_ROUNDS`` were not enough.
    ``error`` comes with ``failed``, ``reason`` says how the last round's text ended.
    """

    round: int = 1
    steps: tuple[Step, ...] = ()
    text: str = ""
    event: Event | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0
    end: LoopEnd | None = None
    reason: FinishReason | None = None
    error: AppError | None = None


async def run_tools(
    service: Service, request: GenerationRequest, implementations: Mapping[str, Implementation]
) -> AsyncGenerator[ToolRun, None]:
    """Answer ``request``, running the calls the model makes; a snapshot after each event and each result.

    A choice that forces a call holds for the first round alone, or the loop could never end in words. Errors end it
    with what there is. Closing the iterator cancels what runs.
    """
    run = ToolRun()
    # the conversation grows from round to round, and its room shrinks
    request = replace(request, policy=replace(request.policy, cap_answer=True))
    while run.end is None:
        async with aclosing(_round(service, request, run)) as snapshots:
            async for snapshot in snapshots:
                run = snapshot
                yield run
        if run.end is not None:
            return
        async with aclosing(_results(run, implementations)) as snapshots:
            async for snapshot in snapshots:
                run = snapshot
                yield run
        request = _next_request(service, request, run)
        if run.end is None:
            run = replace(run, round=run.round + 1, text="", event=None)


async def _round(service: Service, request: GenerationRequest, run: ToolRun) -> AsyncGenerator[ToolRun, None]:
    """One answer of the model; ``end`` stays open when it made calls."""
    before, calls = run.steps, dict[int, ToolCall]()
    async with aclosing(service.generate(request)) as events:
        async for event in events:
            if isinstance(event, Delta):
                run = replace(run, text=run.text + event.text)
            elif isinstance(event, ToolCallDelta):
                calls[event.index] = _joined(calls.get(event.index), event)
                made = [calls[index] for index in sorted(calls)]
                steps = tuple(Step(run.round, call, None, "" if n else run.text) for n, call in enumerate(made))
                run = replace(run, steps=before + steps)
            elif isinstance(event, Finished):
                run = _finished(run, event, called=bool(calls))
            elif isinstance(event, Failed):
                run = replace(run, end="failed", error=event.error)
            run = replace(run, event=event)
            yield run


def _joined(call: ToolCall | None, delta: ToolCallDelta) -> ToolCall:
    call = call or ToolCall(f"call_{delta.index}", "", "")
    return ToolCall(delta.id or call.id, delta.name or call.name, call.arguments + delta.arguments)


def _finished(run: ToolRun, event: Finished, *, called: bool) -> ToolRun:
    goes_on = called and event.reason not in ("cancelled", "deadline")
    return replace(
        run,
        prompt_tokens=run.prompt_tokens + event.usage.prompt_tokens,
        completion_tokens=run.completion_tokens + event.usage.completion_tokens,
        reason=event.reason,
        end=None if goes_on else "answered",
    )


async def _results(run: ToolRun, implementations: Mapping[str, Implementation]) -> AsyncGenerator[ToolRun, None]:
    """The calls of this round run one after the other; then whether the loop may go on."""
    missing = False
    for index, step in enumerate(run.steps):
        if step.round != run.round:
            continue
        implementation = implementations.get(step.call.name)
        if implementation is None:
            missing = True
            continue
        result = await _result(step.call, implementation)
        run = replace(run, steps=(*run.steps[:index], replace(step, result=result), *run.steps[index + 1 :]))
        yield run
    if missing:
        yield replace(run, end="not_implemented")
    elif run.round >= LIMIT_ROUNDS:
        yield replace(run, end="rounds")


async def _result(call: ToolCall, implementation: Implementation) -> str:
    if parsed_arguments(call) is None:
        return NO_OBJECT
    try:
        return await implementation(call)
    except AppError as refused:
        return json.dumps({"error": refused.message}, ensure_ascii=False)
    except Exception:
        log.exception("the tool %s broke", call.name)
        return TOOL_BROKE


def _next_request(service: Service, request: GenerationRequest, run: ToolRun) -> GenerationRequest:
    """The conversation with this round's calls and results."""
    steps = [step for step in run.steps if step.round == run.round]
    calls_message = Message("assistant", run.text, tuple(_repeatable(step.call) for step in steps))
    results = tuple(Message("tool", step.result or "", tool_call_id=step.call.id) for step in steps)
    choice = request.tool_choice
    return replace(
        request,
        request_id=service.new_request_id(),
        messages=(*request.messages, calls_message, *results),
        tool_choice=choice if choice.mode == "none" else ToolChoice("auto", parallel=choice.parallel),
    )


def _repeatable(call: ToolCall) -> ToolCall:
    """No template takes a call whose arguments are no JSON object; its result tells the model what was wrong."""
    return call if parsed_arguments(call) is not None else replace(call, arguments="{}")
