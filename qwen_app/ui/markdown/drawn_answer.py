"""The component that draws a model's answer outside the chat's log; in the style sheets it is a ``.drawn-answer``."""

from __future__ import annotations

import gradio as gr

from qwen_app.ui.markdown.maths import DELIMITERS


def drawn_answer(elem_id: str) -> gr.Markdown:
    """It shows what ``answer_markdown`` makes, and formulas are set. Added to the Blocks being built."""
    return gr.Markdown(sanitize_html=True, latex_delimiters=DELIMITERS, elem_id=elem_id, elem_classes="drawn-answer")
