"""The presenting tab: a frame that the script fills, and the words it says."""

from __future__ import annotations

import json
from pathlib import Path

import gradio as gr

from qwen_app.ui.shared.context import PageContext
from qwen_app.ui.shared.strings import Texts
from qwen_app.ui.shared.theme import widget_script

_SCRIPT = Path(__file__).with_name("presenting.js")
# What the script says, by the names it uses.
WORDS = (
    "present_about",
    "present_name",
    "present_name_hint",
    "present_hours",
    "present_turns",
    "present_invite",
    "present_guests",
    "present_none",
    "present_used",
    "present_until",
    "present_busy",
    "present_idle",
    "present_over",
    "present_link",
    "present_revoke",
    "present_forget",
    "present_local",
    "present_pause",
    "present_resume",
    "present_paused",
    "present_stop",
    "present_stopped",
    "present_running",
    "present_queued",
    "present_speed",
    "present_memory",
    "present_gpu",
    "present_gpu_memory",
    "present_gpu_heat",
    "present_others",
    "present_not_you",
)


def build(page: PageContext) -> None:
    """Add the tab to the Blocks being built."""

    def words(texts: Texts) -> str:
        said = {name: texts(name) for name in WORDS} | {"device": texts.translated(page.service.info().device)}
        return json.dumps(said, ensure_ascii=False)

    with gr.Tab(elem_id="presenting-tab") as tab:
        page.localize(tab, label="presenting_tab")
        frame = gr.HTML(
            words(Texts("en")),
            html_template=f'<div id="presenting" data-shared="{"yes" if page.settings.share else ""}"></div>',
            js_on_load=widget_script(_SCRIPT),
            apply_default_css=False,
        )
    page.translate_value(frame, words)
