"""What is drawn of an answer itself: its text, what happens before it, what went wrong, what was noted for it."""

from __future__ import annotations

from collections.abc import Callable
from html import escape

from qwen_app.ui.answers.part_notes import part_notes_html
from qwen_app.ui.conversations.conversation import Turn
from qwen_app.ui.markdown.answer import answer_markdown
from qwen_app.ui.shared.render import verbatim
from qwen_app.ui.shared.run_line import Run, waiting_line
from qwen_app.ui.shared.stream import Progress
from qwen_app.ui.shared.strings import Texts


def answer_parts(
    turn: Turn,
    texts: Texts,
    progress: Progress | None,
    *,
    plainly: bool = False,
    draw: Callable[[str], str] = answer_markdown,
) -> list[str]:
    """Markdown and HTML, a text each; ``progress`` is that of an answer that is being written, and one that is shown
    ``plainly`` stands there letter by letter, another as ``draw`` makes it."""
    parts: list[str] = []
    if turn.answer:
        json = "json" if turn.json_mode else ""
        parts.append(verbatim(turn.answer, json) if plainly or turn.json_mode else draw(turn.answer))
    elif turn.run is None:
        parts.append(f'<div class="waiting">{waiting_line(progress or Progress(), texts)}</div>')
    if turn.run is not None and turn.run.error_code:
        parts.append(_error_html(turn.run, texts, partial=bool(turn.answer)))
    parts.append(part_notes_html(turn.summary, texts))
    return [part for part in parts if part]


def _error_html(run: Run, texts: Texts, *, partial: bool) -> str:
    between = " " if texts.language == "en" else ""  # in Chinese, a full stop brings its own room
    kept = between + texts("run_partial") if partial else ""
    return f'<div class="run-error" role="alert">{escape(texts.error(run.error_code, run.error_text) + kept)}</div>'
