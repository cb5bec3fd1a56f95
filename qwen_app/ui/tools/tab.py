"""The tools tab: define tools, ask something, and watch calls, arguments and results."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import gradio as gr

from qwen_app.tools.builtin import builtin_tools
from qwen_app.tools.prompt_format import tool_definition
from qwen_app.ui.chat.controls import DEFAULT_ANSWER_TOKENS, HOTTEST
from qwen_app.ui.chat.tab import SESSION_TTL_S
from qwen_app.ui.shared.code_dialog import add_code_dialog
from qwen_app.ui.shared.context import QUICK, PageContext
from qwen_app.ui.shared.strings import Texts
from qwen_app.ui.tools.actions import ToolSession, ToolTask, definitions_text
from qwen_app.ui.tools.handlers import ToolHandlers, choices, titles
from qwen_app.ui.tools.view import definitions_html


@dataclass(frozen=True, slots=True)
class _Parts:
    """The components that handlers read and write."""

    prompt: gr.Textbox
    ready: gr.CheckboxGroup
    upload: gr.UploadButton
    table: gr.HTML
    definitions: gr.Code
    check: gr.HTML
    choice: gr.Dropdown
    temperature: gr.Slider
    max_tokens: gr.Slider
    run: gr.Button
    stop: gr.Button
    code: gr.Button
    steps: gr.HTML
    answer: gr.Markdown
    state: gr.HTML

    def task(self) -> list[Any]:
        return [getattr(self, field.name) for field in fields(ToolTask)]

    def views(self) -> list[Any]:
        return [self.steps, self.answer, self.state, self.run, self.stop]


def build(page: PageContext) -> None:
    """Add the tab to the Blocks being built."""
    with gr.Tab(elem_id="tools-tab") as tab:
        page.localize(tab, label="tools_tab")
        session = gr.State(ToolSession(), time_to_live=SESSION_TTL_S, delete_callback=ToolSession.stop)
        with gr.Row(elem_classes="bench"):
            with gr.Column(scale=1, min_width=320, elem_classes="bench-side"):
                asking = _asking(page)
            with gr.Column(scale=1, min_width=320, elem_classes="bench-side"):
                steps = gr.HTML(ToolSession().picture(Texts("en"))[0], elem_id="steps")
                answer = gr.Markdown(sanitize_html=True, elem_id="tools-answer")
                state = gr.HTML(elem_id="tools-state")
        parts = _Parts(**asking, steps=steps, answer=answer, state=state)
        handlers = ToolHandlers(page)
        add_code_dialog(page, "tools", parts.code, parts.task(), handlers.body)
    _wire(page, session, parts, handlers)


def _asking(page: PageContext) -> dict[str, Any]:
    info, english = page.service.info(), Texts("en")
    tools = [one.tool for one in builtin_tools()]
    names = [tool.name for tool in tools]
    text = definitions_text([tool_definition(tool) for tool in tools])
    prompt = gr.Textbox(english("tools_example"), lines=2, max_lines=10, elem_id="tools-prompt")
    ready = gr.CheckboxGroup(titles(tools, english), value=names, elem_id="ready-tools")
    with gr.Row(elem_classes="actions"):
        upload = gr.UploadButton(file_types=[".csv"], size="md", elem_id="upload-table")
    table = gr.HTML(elem_id="table-check")
    definitions = gr.Code(text, language="json", lines=8, max_lines=10, elem_id="definitions")
    check = gr.HTML(definitions_html(None, tools, names, english), elem_id="definitions-check")
    choice = gr.Dropdown(choices(tools, english), value="auto", elem_id="tool-choice")
    with gr.Row(elem_classes="sliders"):
        temperature = gr.Slider(0, HOTTEST, 0.0, step=0.05, buttons=[], elem_id="tools-temperature")
        longest = min(DEFAULT_ANSWER_TOKENS, info.context_tokens)
        max_tokens = gr.Slider(1, info.context_tokens, longest, step=1, buttons=[], elem_id="tools-max-tokens")
    with gr.Row(elem_classes="actions"):
        run = gr.Button(variant="primary", size="md", elem_id="run-tools")
        stop = gr.Button(size="md", interactive=False, elem_id="stop-tools")
        code = gr.Button(size="md", elem_id="tools-use-code")
    page.localize(prompt, label="prompt")
    page.localize(ready, label="tools_ready", info="tools_ready_info")
    page.localize(upload, label="table_upload")
    page.localize(definitions, label="tools_definitions")
    page.localize(choice, label="tool_choice")
    page.localize(temperature, label="temperature")
    page.localize(max_tokens, label="max_tokens")
    page.localize(run, value="run")
    page.localize(stop, value="stop")
    return {
        "prompt": prompt,
        "ready": ready,
        "upload": upload,
        "table": table,
        "definitions": definitions,
        "check": check,
        "choice": choice,
        "temperature": temperature,
        "max_tokens": max_tokens,
        "run": run,
        "stop": stop,
        "code": code,
    }


def _wire(page: PageContext, session: gr.State, parts: _Parts, handlers: ToolHandlers) -> None:
    parts.run.click(handlers.run, [session, page.language, *parts.task()], parts.views(), **page.generating)
    parts.stop.click(handlers.stop, [session], None, **QUICK)
    parts.ready.input(handlers.choose, [session, parts.ready, parts.definitions], [parts.definitions], **QUICK)
    parts.upload.upload(
        handlers.upload,
        [session, page.language, parts.upload, parts.definitions],
        [parts.table, parts.definitions],
        **QUICK,
    )
    parts.definitions.change(
        handlers.check,
        [session, page.language, parts.definitions, parts.choice],
        [parts.check, parts.ready, parts.choice],
        trigger_mode="always_last",
        **QUICK,
    )
    page.language.change(
        handlers.translate,
        [session, page.language, parts.prompt, parts.definitions, parts.choice],
        [parts.check, parts.ready, parts.choice, parts.prompt, parts.table, parts.steps, parts.state],
        **QUICK,
    )
