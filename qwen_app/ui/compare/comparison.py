"""What was compared: two settings, two answers, a vote; and all of it as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from qwen_app.ui.shared.run_line import Run

Vote = Literal["", "left", "equal", "right"]
SIDES = ("left", "right")
_FIELDS = ("system", "temperature", "top_p", "json_mode", "answer", "tokens", "seconds", "tokens_per_s", "seed", "end")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet would run


@dataclass(frozen=True, slots=True)
class SideSettings:
    """What one column asks with."""

    system: str
    temperature: float
    top_p: float
    json_mode: bool


@dataclass(frozen=True, slots=True)
class SideAnswer:
    """What one column answered, and how it came about."""

    settings: SideSettings
    text: str
    run: Run


@dataclass(frozen=True, slots=True)
class Comparison:
    """One prompt and its two answers; the vote is empty until somebody votes."""

    prompt: str
    left: SideAnswer
    right: SideAnswer
    vote: Vote = ""


def comparisons_csv(comparisons: Sequence[Comparison]) -> str:
    """A row a comparison (RFC 4180). A text that a spreadsheet would take for a formula begins with an apostrophe."""
    written = io.StringIO()
    rows = csv.writer(written)
    rows.writerow(["prompt", "vote", *(f"{side}_{field}" for side in SIDES for field in _FIELDS)])
    for one in comparisons:
        rows.writerow([_text(one.prompt), one.vote, *_cells(one.left), *_cells(one.right)])
    return written.getvalue()


def _cells(side: SideAnswer) -> list[object]:
    settings, run = side.settings, side.run
    return [
        _text(settings.system),
        settings.temperature,
        settings.top_p,
        settings.json_mode,
        _text(side.text),
        run.completion_tokens,
        round(run.total_s, 3),
        round(run.tokens_per_s, 2),
        "" if run.seed is None else run.seed,
        run.reason,
    ]


def _text(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text
