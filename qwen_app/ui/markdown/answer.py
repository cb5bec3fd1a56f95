"""A model's answer as markdown that the page draws as it was meant."""

from __future__ import annotations

from qwen_app.ui.markdown.emphasis import mend_emphasis
from qwen_app.ui.markdown.maths import mark_formulas
from qwen_app.ui.markdown.prose import change_prose
from qwen_app.ui.shared.render import safe_markdown


def answer_markdown(text: str) -> str:
    """``text``, harmless, with its formulas and its Chinese emphasis intact."""
    return safe_markdown(change_prose(text, lambda prose: mark_formulas(mend_emphasis(prose))))
