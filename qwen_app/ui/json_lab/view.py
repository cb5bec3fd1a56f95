"""What the JSON workbench shows while an answer comes and when it is there."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from qwen_app.errors import SchemaError
from qwen_app.messages import Failed
from qwen_app.ui.chat.view import run_line, run_of, waiting_line
from qwen_app.ui.json_lab.progress import Place
from qwen_app.ui.json_lab.result import Outcome, Trial, Verdict, tally
from qwen_app.ui.shared.failure import failure_html
from qwen_app.ui.shared.stream import Progress
from qwen_app.ui.shared.strings import Texts

STAGES = {
    "start": "stage_start",
    "key": "stage_key",
    "value": "stage_value",
    "string": "stage_string",
    "literal": "stage_literal",
    "next": "stage_next",
    "done": "stage_done",
    "invalid": "stage_invalid",
}
VERDICTS: dict[Outcome, str] = {
    "valid": "verdict_valid",
    "closed": "verdict_closed",
    "wrong": "verdict_wrong",
    "cut": "verdict_cut",
    "stopped": "verdict_stopped",
    "failed": "run_failed",
}


def place_html(progress: Progress, place: Place, texts: Texts) -> str:
    """Where in the document the answer stands."""
    if not progress.text:
        return f'<div class="waiting">{waiting_line(progress, texts)}</div>'
    where = f'<code class="json-path">{escape(place.path)}</code>'
    tokens = texts("place_tokens", tokens=progress.completion_tokens)
    facts = [texts(STAGES[place.stage]), where, texts("place_depth", depth=place.depth), tokens]
    return f'<div class="waiting json-place">{" · ".join(facts)}</div>'


def verdict_html(verdict: Verdict, progress: Progress, texts: Texts) -> str:
    """The verdict as a badge, what is wrong, and how the answer came about."""
    if isinstance(progress.end, Failed):
        return failure_html(progress.end.error, texts)
    tone = "good" if verdict.valid else "bad"
    badge = f'<span class="verdict {tone}">{texts(VERDICTS[verdict.outcome])}</span>'
    problem = f'<p class="verdict-problem">{escape(verdict.problem)}</p>' if verdict.problem else ""
    line = escape(run_line(run_of(progress), texts))
    return f'<div role="status">{badge}{problem}<div class="run-line">{line}</div></div>'


def trials_html(trials: Sequence[Trial], running: str, texts: Texts) -> str:
    """A table of validity and agreement, with and without the constraint. ``running`` says what is going on."""
    if not trials and not running:
        return ""
    heads = "".join(f"<th>{texts(key)}</th>" for key in ("trials_mode", "trials_runs", "trials_valid", "trials_agree"))
    rows = "".join(_row([t for t in trials if t.constrained is mode], mode, texts) for mode in (True, False))
    note = f'<div class="waiting">{running}</div>' if running else ""
    table = f'<table class="trials"><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>'
    return f'{table}<p class="hint">{texts("trials_note")}</p>{note}'


def _row(trials: Sequence[Trial], constrained: bool, texts: Texts) -> str:
    figures = tally(trials)
    mode = texts("trials_constrained" if constrained else "trials_free")
    dots = "".join(_dot(trial, texts) for trial in trials)
    valid = f"{figures.valid} / {figures.runs} · {figures.valid / figures.runs:.0%}" if trials else "–"
    agreement = f"{figures.agreement:.0%}" if trials else "–"
    return f"<tr><th>{mode}</th><td>{dots or '–'}</td><td>{valid}</td><td>{agreement}</td></tr>"


def _dot(trial: Trial, texts: Texts) -> str:
    name = texts(VERDICTS[trial.verdict.outcome])
    title = escape(f"{name} {trial.verdict.problem}".strip(), quote=True)
    tone = "good" if trial.verdict.valid else "bad"
    return f'<span class="dot {tone}" title="{title}">{"✓" if trial.verdict.valid else "✗"}</span>'


def check_html(problem: SchemaError | None, texts: Texts) -> str:
    """The line under an editor: fine, or what is wrong and where."""
    if problem is None:
        return f'<div class="check good">✓ {texts("check_good")}</div>'
    pointer = "" if problem.pointer in problem.message else f" <code>{escape(problem.pointer)}</code>"
    said = escape(texts.error(problem.code, problem.message))
    return f'<div class="check bad" role="alert">✗ {said}{pointer}</div>'
