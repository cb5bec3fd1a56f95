"""What a second run of one question changed, under the answer."""

from __future__ import annotations

from qwen_app.ui.shared.strings import Texts
from qwen_app.ui.shared.word_difference import LIMIT_PIECES, difference_html

LIMIT_WORDS = LIMIT_PIECES // 2  # of either, a blank behind each


def word_difference_html(before: str, after: str, texts: Texts, note: str = "") -> str:
    """``after`` with what it adds to ``before`` and what it lacks of it; ``note`` names a text that says why.

    Costs up to a second: call it in a thread.
    """
    if before == after:
        return _box(texts("difference_none"))
    difference = difference_html(before, after)
    if not difference:
        return _box(texts("difference_too_long", words=f"{LIMIT_WORDS:,}"))
    return _box(difference.replace("\n", "<br>") + (f'<p class="hint">{texts(note)}</p>' if note else ""))


def _box(html: str) -> str:
    return f'<div class="word-difference">{html}</div>'
