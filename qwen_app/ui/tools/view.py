"""What the tools tab shows: calls as steps that fold, what goes on, and how it ended."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from html import escape

from qwen_app.agent_loop import Step, ToolRun
from qwen_app.errors import AppError
from qwen_app.messages import Tool
from qwen_app.tools.prompt_format import RESULT_CLOSE, RESULT_OPEN
from qwen_app.ui.markdown.answer import answer_markdown
from qwen_app.ui.shared.notices import check_html, failure_html
from qwen_app.ui.shared.run_line import waiting_line
from qwen_app.ui.shared.stream import Progress, after
from qwen_app.ui.shared.strings import Texts
from qwen_app.ui.tools.menus import Menus, menus_for, tool_titles
from qwen_app.uploads.table_store import TableInfo

ENDS = {"not_implemented": "end_not_implemented", "rounds": "end_rounds"}
LINE_CHARS = 60  # of arguments or of a result, on one line
LIMIT_SHOWN = 20_000  # characters of arguments or of a result; the model gets all of them


@dataclass(frozen=True, slots=True)
class ToolsView:
    """What changes on the page; None leaves a part as it is.

    ``running`` says whether the loop runs: then the buttons stop it, else they start it.
    """

    steps: str | None = None
    answer: str | None = None
    state: str | None = None
    running: bool | None = None


@dataclass(frozen=True, slots=True)
class DefinitionsView:
    """The line under the editor, the titles of the boxes, and what follows for them and for the choice of calls."""

    check: str
    boxes: list[tuple[str, str]]
    menus: Menus


def steps_html(run: ToolRun, runnable: Collection[str], *, over: bool, texts: Texts) -> str:
    """Every call with its arguments and result. ``runnable`` are the tools implemented here."""
    if not run.steps:
        return "" if over else f'<p class="hint">{texts("steps_empty")}</p>'
    return '<ol class="steps">' + "".join(_step(step, runnable, over, texts) for step in run.steps) + "</ol>"


def _step(step: Step, runnable: Collection[str], over: bool, texts: Texts) -> str:
    text = f'<p class="step-text">{escape(step.text.strip())}</p>' if step.text.strip() else ""
    failed = _is_error(step.result)
    tone = "waits" if step.result is None else "bad" if failed else "good"
    brief = "" if step.result is None else f'<span class="step-brief">{escape(_brief(step.result))}</span>'
    head = f'<summary><span class="step-mark {tone}"></span><code>{escape(step.call.name)}</code>{brief}</summary>'
    written = escape(_pretty(step.call.arguments)[:LIMIT_SHOWN])
    arguments = f"<dt>{texts('step_arguments')}</dt><dd><pre>{written}</pre></dd>"
    if step.result is None:
        key = "step_not_run" if step.call.name not in runnable else "step_broken_off" if over else "step_running"
        outcome = f"<dt>{texts('step_result')}</dt><dd>{texts(key)}</dd>"
    else:
        shown = escape(_pretty(step.result)[:LIMIT_SHOWN])
        outcome = f"<dt>{texts('step_error' if failed else 'step_result')}</dt><dd><pre>{shown}</pre></dd>"
    return f"<li>{text}<details open>{head}<dl>{arguments}{outcome}</dl></details></li>"


def _is_error(result: str | None) -> bool:
    return result is not None and result.startswith('{"error":')


def _brief(result: str) -> str:
    return result if len(result) <= LINE_CHARS else result[: LINE_CHARS - 1] + "…"


def _pretty(text: str) -> str:
    """JSON on lines of its own where it is longer than one; other text, or half of a JSON text, as it is."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    line = json.dumps(value, ensure_ascii=False)
    pretty = line if len(line) <= LINE_CHARS else json.dumps(value, ensure_ascii=False, indent=2)
    return pretty.encode(errors="replace").decode()  # half a surrogate pair, escaped in JSON, is no text


def answer_text(run: ToolRun) -> str:
    """The answer as markdown; text before a call is shown with its step. A small model may say a result again, with
    the marks that it stood between: they are the prompt's, and nobody's to read."""
    if any(step.round == run.round for step in run.steps):
        return ""
    text = run.text.replace(RESULT_OPEN, "").replace(RESULT_CLOSE, "") if run.steps else run.text
    return answer_markdown(text)


def state_html(run: ToolRun, elapsed_s: float, *, over: bool, texts: Texts, offered: bool = False) -> str:
    """The line under the steps: what goes on, or how it ended. ``offered``: the model might have called a tool."""
    if not over:
        progress = Progress() if run.event is None else after(Progress(), run.event, elapsed_s)
        return f'<div class="waiting">{waiting_line(progress, texts)}</div>'
    notice = ""
    if run.error is not None:
        notice = failure_html(run.error, texts)
    elif run.end in ENDS:
        sentence = texts(ENDS[run.end], rounds=run.round)
        notice = f'<div class="tools-end" role="status">{sentence}</div>'
    elif run.end == "answered" and not run.steps and offered:
        notice = f'<div class="tools-end" role="status">{texts("end_without_tool")}</div>'
    facts = [] if run.error is not None else [_reason(run, texts)]
    facts.append(
        texts(
            "tools_line",
            rounds=run.round,
            prompt=f"{run.prompt_tokens:,}",
            completion=f"{run.completion_tokens:,}",
            seconds=f"{elapsed_s:.1f}",
        )
    )
    return f'{notice}<div class="run-line">{" · ".join(facts)}</div>'


def _reason(run: ToolRun, texts: Texts) -> str:
    if run.end is None:
        return texts("run_cancelled")
    return texts(f"run_{run.reason}" if run.reason else "run_stop")


def definitions_view(
    problem: AppError | None, tools: Sequence[Tool], builtin: Sequence[Tool], chosen: str, texts: Texts
) -> DefinitionsView:
    """What follows from definitions that hold ``tools``, or have a ``problem``; ``chosen`` are the calls asked for."""
    known = [tool.name for tool in builtin]
    menus = menus_for(tools if problem is None else None, known, chosen, texts)
    return DefinitionsView(definitions_html(problem, tools, known, texts), tool_titles(builtin, texts), menus)


def definitions_html(problem: AppError | None, tools: Sequence[Tool], runnable: Collection[str], texts: Texts) -> str:
    """The line under the editor."""
    if problem is not None:
        return check_html(problem, texts)
    good = f'<div class="check good">✓ {texts("tools_good", count=len(tools))}</div>'
    others = [tool.name for tool in tools if tool.name not in runnable]
    if not others:
        return good
    return f'{good}<div class="check">{escape(texts("tools_shown_only", names=", ".join(others)))}</div>'


def table_html(table: TableInfo | None, refusal: str, texts: Texts) -> str:
    """What was uploaded, or why it was refused."""
    if refusal:
        told = texts("table_refused", message=texts.translated(refusal))
        return f'<div class="check bad" role="alert">✗ {escape(told)}</div>'
    if table is None:
        return ""
    columns = ", ".join(table.columns)
    sentence = texts("table_read", name=table.name, rows=f"{table.rows:,}", columns=columns)
    return f'<div class="check good">✓ {escape(sentence)}</div>'
