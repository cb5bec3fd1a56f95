"""The status tab: what the server tells its owner, and a frame for each plot, which the page's script fills."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import gradio as gr

from qwen_app.ui.shared.context import QUEUED, QUICK, PageContext
from qwen_app.ui.shared.handlers import Updates, Values, language_of
from qwen_app.ui.shared.strings import Texts

# The fields of a sample, with the text that names each and the unit it is shown in. A GPU's are hidden until one tells.
PLOTS = {
    "tokens_per_s": ("status_speed", "status_unit_speed"),
    "first_token_s": ("status_first", "status_unit_seconds"),
    "running": ("status_running", ""),
    "queued": ("status_queued", ""),
    "memory_bytes": ("status_memory", "status_unit_memory"),
    "reused_share": ("status_reused", "status_unit_share"),
    "gpu_busy_share": ("status_gpu", "status_unit_share"),
    "gpu_memory_bytes": ("status_gpu_memory", "status_unit_memory"),
    "gpu_celsius": ("status_gpu_heat", "status_unit_celsius"),
}


def build(page: PageContext) -> None:
    """Add the tab to the Blocks being built."""
    with gr.Tab(elem_id="status-tab") as tab:
        page.localize(tab, label="status_tab")
        notices = gr.HTML(elem_id="status-notices", apply_default_css=False)
        plots = gr.HTML(plots_html(Texts("en")), elem_id="status-plots", apply_default_css=False)

    def tell(chosen: object, request: gr.Request) -> str:
        return notices_html(page.notices_for(request), Texts(language_of(chosen)))

    def translate(values: Values, request: gr.Request) -> Updates:
        chosen = values[page.language]
        return {notices: tell(chosen, request), plots: plots_html(Texts(language_of(chosen)))}

    tab.select(tell, [page.language], [notices], **QUEUED)
    page.blocks.load(tell, [page.language], [notices], **QUICK)
    page.translate(translate, (), [notices, plots])


def notices_html(notices: Sequence[str], texts: Texts) -> str:
    """What goes another way than it should, for who runs the server; empty where there is nothing to tell."""
    lines = "".join(f"<li>{escape(texts.translated(notice))}</li>" for notice in notices)
    return f"<section><h2>{escape(texts('status_notices'))}</h2><ul>{lines}</ul></section>" if lines else ""


def plots_html(texts: Texts) -> str:
    """The frames, and a sentence that says what they show."""
    frames = "".join(
        f'<figure data-field="{field}"{" hidden" if field.startswith("gpu_") else ""}>'
        f"<figcaption>{escape(texts(name))}</figcaption>"
        f'<p><b data-value></b> {escape(texts(unit)) if unit else ""}</p><svg role="img" viewBox="0 0 300 80" '
        f'preserveAspectRatio="none" aria-label="{escape(texts(name))}"><path></path></svg></figure>'
        for field, (name, unit) in PLOTS.items()
    )
    return f'<div class="status-plots">{frames}</div><p class="hint">{escape(texts("status_note"))}</p>'
