"""What the JSON lab shows while an answer comes and when it is there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from qwen_app.messages import Failed
from qwen_app.ui.json_lab.progress import Place, Stage
from qwen_app.ui.json_lab.result import LabRun, Outcome, Result, summarize
from qwen_app.ui.shared.notices import failure_html
from qwen_app.ui.shared.run_line import run_line, run_of, waiting_line
from qwen_app.ui.shared.stream import Progress
from qwen_app.ui.shared.strings import Texts

STAGES: dict[Stage, str] = {
    "start": "stage_start",
    "key": "stage_key",
    "value": "stage_value",
    "string": "stage_string",
    "literal": "stage_literal",
    "next": "stage_next",
    "done": "stage_done",
    "invalid": "stage_invalid",
    "too_large": "stage_too_large",
}
OUTCOMES: dict[Outcome, str] = {
    "valid": "result_valid",
    "closed": "result_closed",
    "wrong": "result_wrong",
    "cut": "result_cut",
    "stopped": "result_stopped",
    "failed": "run_failed",
    "unchecked": "result_unchecked",
}


@dataclass(frozen=True, slots=True)
class JsonLabView:
    """What changes on the page; None leaves a part as it is. An empty ``tree`` shows no document.

    ``running`` says whether an answer is being written: then the buttons stop it, else they start one.
    """

    outcome: str | None = None
    tree: str | None = None
    raw: str | None = None
    runs: str | None = None
    running: bool | None = None


def place_html(progress: Progress, place: Place, texts: Texts) -> str:
    """Where in the document the answer stands."""
    if not progress.text:
        return f'<div class="waiting">{waiting_line(progress, texts)}</div>'
    where = f'<code class="json-path">{escape(place.path)}</code>'
    tokens = texts("place_tokens", tokens=progress.completion_tokens)
    facts = [texts(STAGES[place.stage]), where, texts("place_depth", depth=place.depth), tokens]
    return f'<div class="waiting json-place">{" · ".join(facts)}</div>'


def result_html(result: Result, progress: Progress, texts: Texts) -> str:
    """The result as a badge, what is wrong, and how the answer came about."""
    if isinstance(progress.end, Failed):
        return failure_html(progress.end.error, texts)
    tone = "good" if result.valid else "bad"
    badge = f'<span class="result {tone}">{texts(OUTCOMES[result.outcome])}</span>'
    told = texts.translated(result.problem)
    problem = f'<p class="result-problem">{escape(told)}</p>' if told else ""
    line = escape(run_line(run_of(progress), texts))
    return f'<div role="status">{badge}{problem}<div class="run-line">{line}</div></div>'


def runs_html(runs: Sequence[LabRun], running: str, texts: Texts) -> str:
    """A table of validity and agreement, with and without the constraint. ``running`` says what is going on."""
    if not runs and not running:
        return ""
    heads = "".join(f"<th>{texts(key)}</th>" for key in ("runs_mode", "runs_made", "runs_valid", "runs_agree"))
    rows = "".join(_row([run for run in runs if run.constrained is mode], mode, texts) for mode in (True, False))
    note = f'<div class="waiting">{running}</div>' if running else ""
    table = f'<table class="runs"><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>'
    return f'{table}<p class="hint">{texts("runs_note")}</p>{note}'


def _row(runs: Sequence[LabRun], constrained: bool, texts: Texts) -> str:
    summary = summarize(runs)
    mode = texts("runs_constrained" if constrained else "runs_free")
    dots = "".join(_dot(run.result, texts) for run in runs)
    valid = f"{summary.valid} / {summary.runs} · {summary.valid / summary.runs:.0%}" if runs else "–"
    agreement = f"{summary.agreement:.0%}" if runs else "–"
    return f"<tr><th>{mode}</th><td>{dots or '–'}</td><td>{valid}</td><td>{agreement}</td></tr>"


def _dot(result: Result, texts: Texts) -> str:
    title = escape(f"{texts(OUTCOMES[result.outcome])} {texts.translated(result.problem)}".strip(), quote=True)
    tone = "good" if result.valid else "bad"
    return f'<span class="dot {tone}" title="{title}">{"✓" if result.valid else "✗"}</span>'
