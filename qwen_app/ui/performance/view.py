"""What the performance tab shows: what is being measured, and what was found."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

from qwen_app.performance.report import PerformanceReport, short
from qwen_app.performance.values import BenchRun
from qwen_app.ui.shared.notices import notice_html
from qwen_app.ui.shared.strings import Texts


@dataclass(frozen=True, slots=True)
class PerformanceView:
    """What changes on the page; None leaves a part as it is. ``running`` sets the buttons."""

    state: str | None = None
    results: str | None = None
    paste: str | None = None
    running: bool | None = None


def state_html(run: BenchRun, texts: Texts) -> str:
    """What goes on, or how it ended."""
    done, total = len(run.figures), len(run.sizes)
    if run.now is not None and run.end is None:
        sentence = texts(
            "perf_running",
            number=min(done + 1, total),
            total=total,
            context=short(run.now.context_tokens),
            users=run.now.users,
            begun=run.answered,
        )
        bar = f'<progress max="{total}" value="{done}" aria-label="{escape(sentence, quote=True)}"></progress>'
        return f'<div class="waiting">{escape(sentence)}</div>{bar}'
    if run.end == "failed":
        return notice_html(texts("perf_failed", message=run.problem))
    key = {"others": "perf_others", "done": "perf_done"}.get(run.end or "", "perf_stopped")
    return f'<div class="run-line" role="status">{escape(texts(key, done=done, total=total))}</div>'


def results_html(report: PerformanceReport | None, texts: Texts) -> str:
    """Charts and tables; before the first run, what can be expected of one."""
    if report is None or not report.run.figures:
        return f'<p class="hint">{texts("perf_empty")}</p>'
    charts = "".join(f"<figure>{chart}</figure>" for chart in report.charts(texts.language))
    tables = "".join(table.html() for table in report.tables(texts.language))
    return f'<div class="report-charts">{charts}</div>{tables}'


def paste_text(report: PerformanceReport | None, texts: Texts) -> str:
    """The tables as Markdown; nothing before the first run."""
    return report.markdown(texts.language) if report is not None and report.run.figures else ""
