"""“Use from code”: a dialog that shows a request of the page as curl, Python and JavaScript."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Set

import gradio as gr
from gradio.blocks import Block

from qwen_app.errors import AppError
from qwen_app.openai_format import RequestBody
from qwen_app.settings import Settings
from qwen_app.ui.shared import code_samples
from qwen_app.ui.shared.context import QUICK, PageContext, visitor
from qwen_app.ui.shared.handlers import Updates, Values, language_of, text
from qwen_app.ui.shared.notices import failure_html
from qwen_app.ui.shared.strings import Texts

MakeBody = Callable[[Values, str], Awaitable[RequestBody]]  # of values, for a visitor
KINDS = {
    "python": ("Python", code_samples.python, "python"),
    "curl": ("curl", code_samples.curl, "shell"),
    "javascript": ("JavaScript", code_samples.javascript, "javascript"),
}


def add_code_dialog(page: PageContext, name: str, button: gr.Button, inputs: Set[Block], body: MakeBody) -> None:
    """Let ``button`` open the dialog. ``body`` makes the API's body of the values of ``inputs``, or raises AppError."""
    page.localize(button, value="use_from_code")
    with gr.Column(visible=False, elem_classes="code-dialog", elem_id=f"{name}-code") as dialog:
        title = gr.HTML(elem_classes="code-title")
        with gr.Row(elem_classes="code-head"):
            kind = gr.Radio(
                [(title, key) for key, (title, _, _) in KINDS.items()],
                value="python",
                show_label=False,
                container=False,
                elem_classes="segmented",
            )
            close = gr.Button(size="sm", elem_classes="close-code")
        note = gr.HTML()
        code = gr.Code(language="python", show_label=False, max_lines=28, wrap_lines=True, interactive=False)
    page.localize(title, value="code_title")
    page.localize(kind, label="code_language")
    page.localize(close, value="close")

    async def show(values: Values, request: gr.Request) -> Updates:
        texts = Texts(language_of(values[page.language]))
        base_url = base_url_of(request.headers)
        try:
            request_body = await body(values, visitor(request))
        except AppError as error:
            return {**opened, note: failure_html(error, texts), code: gr.update(value="", visible=False)}
        _, write, highlighting = KINDS.get(text(values[kind]), KINDS["python"])
        sample = write(base_url, request_body, needs_key=needs_key(page.settings))
        shown = gr.update(value=sample, language=highlighting, visible=True)
        return {**opened, note: _note(page.settings, texts), code: shown}

    opened: Updates = {dialog: gr.update(visible=True)}
    gr.on([button.click, kind.input], show, {page.language, kind, *inputs}, [dialog, note, code], **QUICK)
    close.click(lambda: gr.update(visible=False), None, [dialog], **QUICK)


def base_url_of(headers: Mapping[str, str]) -> str:
    """Where the visitor's own browser reaches the API."""
    origin = headers.get("origin") or ""
    if not origin.startswith(("http://", "https://")):
        origin = f"{headers.get('x-forwarded-proto') or 'http'}://{headers.get('host') or 'localhost'}"
    return f"{origin}/v1"


def needs_key(settings: Settings) -> bool:
    return _has_keys(settings) or not settings.is_local()


def _has_keys(settings: Settings) -> bool:
    return bool(settings.api_keys or settings.api_keys_file)


def _note(settings: Settings, texts: Texts) -> str:
    if _has_keys(settings):
        return f'<p class="hint">{texts("code_key", variable=code_samples.KEY_VARIABLE)}</p>'
    if not settings.is_local():
        return f'<p class="hint">{texts("code_no_keys")}</p>'
    return ""
