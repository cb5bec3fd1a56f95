"""The tasks that the empty chat offers: starters, which set the chat up, and tabs to try something else in."""

from __future__ import annotations

from html import escape

from qwen_app.ui.presets.choices import OURS
from qwen_app.ui.presets.starters import STARTERS
from qwen_app.ui.shared.strings import Texts

TABS = {"json-lab": "task_json", "tools": "task_tools", "compare": "task_compare"}


def tasks_html(texts: Texts) -> str:
    """Buttons that choose a starter, and links to tabs. Nothing is sent by them."""
    language = texts.language
    starters = "".join(
        f'<button type="button" data-preset="{OURS}{starter.key}" title="{escape(starter.question_in(language))}">'
        f"{escape(starter.title_in(language))}</button>"
        for starter in STARTERS
    )
    tabs = "".join(f'<a href="#{tab}">{escape(texts(key))} →</a>' for tab, key in TABS.items())
    return f'<nav class="tasks" aria-label="{escape(texts("tasks"))}">{starters}{tabs}</nav>'
