"""What became of a JSON answer: valid, wrong and where, or ended by a limit; and how many of several runs agree."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from qwen_app.errors import AppError
from qwen_app.messages import Failed, Finished
from qwen_app.sandbox.checks import checks
from qwen_app.structured.schema_check import Schema

LIMIT_TREE_CHARS = 200_000

Outcome = Literal["valid", "closed", "wrong", "cut", "stopped", "failed", "unchecked"]


@dataclass(frozen=True, slots=True)
class Result:
    """``closed``: a limit came near and the document was ended early, valid all the same. ``cut``: a limit ended it
    and it is not valid. ``unchecked``: checking it would take too much. ``problem`` says what is wrong and where."""

    outcome: Outcome
    problem: str = ""

    @property
    def valid(self) -> bool:
        return self.outcome in ("valid", "closed")


@dataclass(frozen=True, slots=True)
class LabRun:
    """One of several runs of the same task."""

    constrained: bool
    text: str
    result: Result


@dataclass(frozen=True, slots=True)
class Summary:
    """``agreement`` is the share of runs that gave the most common answer."""

    runs: int
    valid: int
    agreement: float


async def validate_answer(text: str, schema: Schema, end: Finished | Failed | None, user: str) -> Result:
    """What became of an answer for ``user`` that is over; ``end`` is None when he stopped it."""
    if isinstance(end, Failed):
        return Result("failed", end.error.message)
    if end is None or end.reason == "cancelled":
        return Result("stopped")
    limited = end.closed or end.reason in ("length", "deadline")
    try:
        problem = await checks().validate(text, schema, user=user)
    except AppError as error:
        return Result("unchecked", error.message)
    if problem is None:
        return Result("closed" if limited else "valid")
    return Result("cut" if limited else "wrong", problem)


def summarize(runs: Sequence[LabRun]) -> Summary:
    answers = Counter(_canonical(run.text) for run in runs)
    agreeing = max(answers.values(), default=0)
    valid = sum(run.result.valid for run in runs)
    return Summary(len(runs), valid, agreeing / len(runs) if runs else 0.0)


def tree_text(document: object) -> str:
    """``document`` as JSON text for a tree view; empty where it holds what JSON has no text for, or too much of it."""
    try:
        text = json.dumps(document, ensure_ascii=False, allow_nan=False)
        text.encode()
    except (ValueError, RecursionError):
        return ""
    return text if len(text) <= LIMIT_TREE_CHARS else ""


def _canonical(text: str) -> str:
    """Two documents that differ in blanks or the order of keys alone are the same answer."""
    try:
        return json.dumps(json.loads(text), sort_keys=True)
    except (ValueError, RecursionError):
        return text.strip()
