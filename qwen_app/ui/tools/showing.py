"""What becomes of a task of the tools tab: the components at its right."""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr

from qwen_app.ui.markdown.drawn_answer import drawn_answer
from qwen_app.ui.shared.strings import Texts
from qwen_app.ui.tools.session import ToolSession


@dataclass(frozen=True, slots=True)
class Showing:
    """Calls as steps, the answer, and a line on what goes on or how it ended."""

    steps: gr.HTML
    answer: gr.Markdown
    state: gr.HTML


def build_showing() -> Showing:
    """Add the components to the Blocks being built."""
    return Showing(
        steps=gr.HTML(ToolSession().picture(Texts("en")).steps, elem_id="steps"),
        answer=drawn_answer("tools-answer"),
        state=gr.HTML(elem_id="tools-state"),
    )
