"""What an empty chat shows: a welcome, questions to try, which are sent at once, and tasks, which are not."""

from __future__ import annotations

import gradio as gr
from gradio.components.chatbot import ExampleMessage

from qwen_app.ui.presets.tasks import tasks_html
from qwen_app.ui.shared.context import PageContext
from qwen_app.ui.shared.strings import Texts

ENGLISH = Texts("en")
EXAMPLES = ("example_capital", "example_code", "example_explain")


def welcome(texts: Texts = ENGLISH) -> str:
    return f"<h2>{texts('welcome')}</h2>"


def examples(texts: Texts = ENGLISH) -> list[ExampleMessage]:
    return [{"text": texts(key)} for key in EXAMPLES]


def add_tasks(page: PageContext) -> None:
    """Add the row of tasks, which the style sheet shows below an empty conversation alone."""
    tasks = gr.HTML(tasks_html(ENGLISH), elem_id="tasks")
    page.translate_value(tasks, tasks_html)
