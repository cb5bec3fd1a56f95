"""What became of a JSON answer: valid, wrong and where, or ended by a limit; and how many of several runs agree."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from qwen_app.messages import Failed, Finished
from qwen_app.structured.schema_check import Schema
from qwen_app.structured.validation import validate_text

Outcome = Literal["valid", "closed", "wrong", "cut", "stopped", "failed"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """``closed``: a limit came near and the document was ended early, valid all the same. ``cut``: a limit ended it
    and it is not valid. ``problem`` says what is wrong and where."""

    outcome: Outcome
    problem: str = ""

    @property
    def valid(self) -> bool:
        return self.outcome in ("valid", "closed")


@dataclass(frozen=True, slots=True)
class Trial:
    """One of several runs of the same task."""

    constrained: bool
    text: str
    verdict: Verdict
    completion_tokens: int
    total_s: float


@dataclass(frozen=True, slots=True)
class Tally:
    """``agreement`` is the share of runs that gave the most common answer."""

    runs: int
    valid: int
    agreement: float


def judge(text: str, schema: Schema, end: Finished | Failed | None) -> Verdict:
    """The verdict on a finished answer; ``end`` is None when the visitor stopped it."""
    if isinstance(end, Failed):
        return Verdict("failed", end.error.message)
    if end is None or end.reason == "cancelled":
        return Verdict("stopped")
    limited = end.closed or end.reason in ("length", "deadline")
    problem = validate_text(text, schema)
    if problem is None:
        return Verdict("closed" if limited else "valid")
    return Verdict("cut" if limited else "wrong", problem)


def tally(trials: Sequence[Trial]) -> Tally:
    answers = Counter(_canonical(trial.text) for trial in trials)
    agreeing = max(answers.values(), default=0)
    valid = sum(trial.verdict.valid for trial in trials)
    return Tally(len(trials), valid, agreeing / len(trials) if trials else 0.0)


def tree_text(document: Any) -> str | None:
    """``document`` as JSON text for a tree view; None where it holds what JSON has no text for."""
    try:
        text = json.dumps(document, ensure_ascii=False, allow_nan=False)
        text.encode()
    except (ValueError, RecursionError):
        return None
    return text


def _canonical(text: str) -> str:
    """Two documents that differ in blanks or the order of keys alone are the same answer."""
    try:
        return json.dumps(json.loads(text), sort_keys=True)
    except (ValueError, RecursionError):
        return text.strip()
