"""How a comparison looks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from qwen_app.messages import Failed
from qwen_app.ui.compare.comparison import Comparison, SideAnswer
from qwen_app.ui.markdown.answer import answer_markdown
from qwen_app.ui.shared.notices import failure_html, notice_html
from qwen_app.ui.shared.run_line import run_line, run_of, waiting_line
from qwen_app.ui.shared.stream import Progress
from qwen_app.ui.shared.strings import Texts

PROMPT_CHARS = 80  # of a prompt, in the table
VOTES = {"": "compare_no_vote", "left": "compare_left", "equal": "compare_equal", "right": "compare_right"}


@dataclass(frozen=True, slots=True)
class CompareView:
    """What changes on the page; None leaves a part as it is. Pairs are left and right."""

    answers: tuple[str, str] | None = None
    states: tuple[str, str] | None = None
    notice: str | None = None
    difference: str | None = None
    table: str | None = None
    running: bool | None = None


def no_prompt(texts: Texts) -> CompareView:
    return CompareView(notice=notice_html(texts("prompt_missing")))


def answers_of(pair: tuple[Progress, Progress], json_modes: Sequence[bool]) -> tuple[str, str]:
    """Both answers as markdown."""
    left, right = (answer_text(progress.text, json_mode=mode) for progress, mode in zip(pair, json_modes, strict=True))
    return left, right


def states_of(pair: tuple[Progress, Progress], texts: Texts) -> tuple[str, str]:
    """The lines under both."""
    return state_html(pair[0], texts), state_html(pair[1], texts)


def answer_text(text: str, *, json_mode: bool) -> str:
    return f"````json\n{text}\n````" if json_mode and text else answer_markdown(text)


def state_html(progress: Progress, texts: Texts) -> str:
    """The line under an answer."""
    if isinstance(progress.end, Failed):
        return failure_html(progress.end.error, texts)
    if progress.over:
        return f'<div class="run-line">{escape(run_line(run_of(progress), texts))}</div>'
    line = texts("live_tokens", tokens=progress.completion_tokens) if progress.text else waiting_line(progress, texts)
    return f'<div class="waiting">{escape(line)}</div>'


def difference_box(difference: str, same: bool, texts: Texts) -> str:
    """The difference under a heading, or why there is none."""
    inner = f"<p>{texts('compare_same')}</p>" if same else difference or f"<p>{texts('compare_too_long')}</p>"
    return f'<h3>{texts("compare_difference")}</h3><div class="difference">{inner}</div>'


def table_html(done: Sequence[Comparison], texts: Texts) -> str:
    """All comparisons, the newest first."""
    if not done:
        return f'<p class="hint">{escape(texts("compare_hint"))}</p>'
    heads = ("prompt", "compare_left", "compare_right", "compare_vote")
    head = "".join(f"<th>{escape(texts(key))}</th>" for key in heads)
    rows = "".join(_row(one, texts) for one in reversed(done))
    return f'<table class="runs"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'


def _row(one: Comparison, texts: Texts) -> str:
    prompt = one.prompt if len(one.prompt) <= PROMPT_CHARS else one.prompt[:PROMPT_CHARS] + "…"
    cells = (prompt, _brief(one.left, texts), _brief(one.right, texts), texts(VOTES[one.vote]))
    return "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>"


def _brief(side: SideAnswer, texts: Texts) -> str:
    """What a column asked with and how fast it was."""
    facts = [f"{texts('temperature')} {side.settings.temperature:g}", f"{texts('top_p')} {side.settings.top_p:g}"]
    facts += ["JSON"] if side.settings.json_mode else []
    facts.append(texts("live_tokens", tokens=side.run.completion_tokens))
    facts.append(texts("run_seconds", seconds=f"{side.run.total_s:.1f}"))
    return " · ".join(facts)
