"""A scenario, the answer to it, and what became of that."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from qwen_app.messages import GrammarSpec, Message, Tool, ToolCall
from qwen_app.reports.wording import Wording

ResultState = Literal["passed", "failed", "does_not_fit", "broke", "stopped"]


@dataclass(frozen=True, slots=True)
class TaskAnswer:
    """What the model answered."""

    text: str
    calls: tuple[ToolCall, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether an answer is what was expected, and what was found."""

    passed: bool
    reason: Wording


@dataclass(frozen=True, slots=True)
class Scenario:
    """A task: ``messages`` are asked with ``tools`` and held to ``grammar``; ``check`` judges the answer.

    ``expected`` says in words what the check looks for. ``answer_tokens`` is the longest answer.
    """

    key: str
    title: Wording
    expected: Wording
    messages: tuple[Message, ...]
    check: Callable[[TaskAnswer], Verdict]
    answer_tokens: int = 512
    tools: tuple[Tool, ...] = ()
    grammar: GrammarSpec | None = None


@dataclass(frozen=True, slots=True)
class ScenarioResult:
    """``does_not_fit``: the context is too short. ``broke``: an error of ours, which says nothing of the model."""

    scenario: Scenario
    state: ResultState
    reason: Wording
    outcome: TaskAnswer = TaskAnswer("")
    total_s: float = 0.0
    prompt_tokens: int = 0
    completion_tokens: int = 0


@dataclass(frozen=True, slots=True)
class ScenarioRun:
    """A run so far: ``results`` of those that are over, ``now`` the one being answered, with ``text`` of it."""

    results: tuple[ScenarioResult, ...] = ()
    now: Scenario | None = None
    text: str = ""
    number: int = 0
    total: int = 0
