"""Scenarios asked one after the other, each judged when its answer is there."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace

from qwen_app.errors import AppError, ContextLengthExceeded
from qwen_app.messages import Delta, Failed, Finished, GenerationRequest, ToolCall, ToolCallDelta, ToolChoice
from qwen_app.reports.wording import Wording
from qwen_app.scenarios.values import Scenario, ScenarioResult, ScenarioRun, TaskAnswer
from qwen_app.service import Service

STOPPED = Wording("Stopped before its end.", "提前停止。")
_TOO_LONG = Wording(
    "It needs {need:,} tokens, the context has {limit:,}. Start the server with a longer --context.",
    "需要 {need:,} 个词元，上下文只有 {limit:,} 个。请用更大的 --context 启动。",
)
_BROKE = Wording("{message}", "出错：{message}")


@dataclass(slots=True)
class _Answer:
    """What came of one answer so far."""

    text: str = ""
    calls: dict[int, ToolCall] = field(default_factory=dict)
    end: Finished | Failed | None = None

    def see(self, event: object) -> None:
        if isinstance(event, Delta):
            self.text += event.text
        elif isinstance(event, ToolCallDelta):
            call = self.calls.get(event.index) or ToolCall(f"call_{event.index}", "", "")
            self.calls[event.index] = ToolCall(
                event.id or call.id, event.name or call.name, call.arguments + event.arguments
            )
        elif isinstance(event, Finished | Failed):
            self.end = event


async def run_scenarios(service: Service, chosen: Sequence[Scenario], user: str) -> AsyncGenerator[ScenarioRun, None]:
    """Snapshots of the run; the last has a result for every one ``chosen``. Closing the iterator cancels it."""
    run = ScenarioRun(total=len(chosen))
    for number, scenario in enumerate(chosen, 1):
        run = replace(run, now=scenario, text="", number=number)
        async with aclosing(_one(service, scenario, user)) as answers:
            async for answer in answers:
                if isinstance(answer, ScenarioResult):
                    run = replace(run, results=(*run.results, answer), now=None)
                else:
                    run = replace(run, text=answer)
                yield run


async def _one(service: Service, scenario: Scenario, user: str) -> AsyncGenerator[str | ScenarioResult, None]:
    """The text so far, and at last the result."""
    yield ""
    started, answer = time.monotonic(), _Answer()
    try:
        need = await service.count_tokens(scenario.messages, scenario.tools) + scenario.answer_tokens
        if need > service.info().context_tokens:
            yield _does_not_fit(scenario, need, service.info().context_tokens)
            return
        async with aclosing(service.generate(_request(service, scenario, user))) as events:
            async for event in events:
                answer.see(event)
                yield answer.text
    except AppError as refused:
        answer.end = Failed(refused)
    yield _judged(scenario, answer, time.monotonic() - started)


def _request(service: Service, scenario: Scenario, user: str) -> GenerationRequest:
    return GenerationRequest(
        service.new_request_id(),
        scenario.messages,
        sampling=service.sampling(temperature=0.0, max_tokens=scenario.answer_tokens),
        user=user,
        tools=scenario.tools,
        tool_choice=ToolChoice("auto"),
        grammar=scenario.grammar,
    )


def _does_not_fit(scenario: Scenario, need: int, limit: int) -> ScenarioResult:
    return ScenarioResult(scenario, "does_not_fit", _TOO_LONG.filled(need=need, limit=limit))


def _judged(scenario: Scenario, answer: _Answer, total_s: float) -> ScenarioResult:
    calls = tuple(answer.calls[index] for index in sorted(answer.calls))
    if isinstance(answer.end, Finished):
        end = answer.end
        outcome = TaskAnswer(answer.text, calls)
        verdict = scenario.check(outcome)
        return ScenarioResult(
            scenario,
            "passed" if verdict.passed else "failed",
            verdict.reason,
            outcome,
            total_s,
            end.usage.prompt_tokens,
            end.usage.completion_tokens,
        )
    error = answer.end.error if isinstance(answer.end, Failed) else None
    if isinstance(error, ContextLengthExceeded):
        return _does_not_fit(scenario, error.prompt_tokens + error.answer_tokens, error.limit_tokens)
    message = error.message if error is not None else "The answer broke off."
    return ScenarioResult(scenario, "broke", _BROKE.filled(message=message), TaskAnswer(answer.text, calls), total_s)
