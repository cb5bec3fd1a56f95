"""The tools tab: define tools, ask something, and watch calls, arguments and results."""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr
from gradio.blocks import Block

from qwen_app.openai_format import RequestBody
from qwen_app.ui.shared.code_dialog import add_code_dialog
from qwen_app.ui.shared.context import QUEUED, QUICK, SESSION_TTL_S, PageContext, chats_owner, owner, visitor
from qwen_app.ui.shared.generation_controls import max_tokens_of, max_tokens_slider, temperature_of, temperature_slider
from qwen_app.ui.shared.handlers import Updates, Values, changed, language_of, session_of, streaming, text
from qwen_app.ui.shared.strings import TEXTS, Texts
from qwen_app.ui.tools.actions import ToolActions, Views, every_builtin
from qwen_app.ui.tools.builtin_calls import PICK_TABLE, BuiltinCalls, first_tools
from qwen_app.ui.tools.session import ToolSession
from qwen_app.ui.tools.showing import Showing, build_showing
from qwen_app.ui.tools.task import FIRST_CALL, ToolTask
from qwen_app.ui.tools.view import ToolsView, definitions_view, table_html


@dataclass(frozen=True, slots=True)
class _Asking:
    """What is asked with which tools, and the buttons that ask it."""

    prompt: gr.Textbox
    ready: gr.CheckboxGroup
    upload: gr.Button
    uploaded: gr.Textbox
    table: gr.HTML
    definitions: gr.Code
    check: gr.HTML
    choice: gr.Dropdown
    temperature: gr.Slider
    max_tokens: gr.Slider
    run: gr.Button
    stop: gr.Button
    code: gr.Button

    def inputs(self) -> set[Block]:
        """The components a task is read from."""
        return {self.prompt, self.definitions, self.choice, self.temperature, self.max_tokens}


def build(page: PageContext) -> None:
    """Add the tab to the Blocks being built."""
    with gr.Tab(elem_id="tools-tab") as tab:
        page.localize(tab, label="tools_tab")
        session = gr.State(ToolSession(), time_to_live=SESSION_TTL_S, delete_callback=ToolSession.stop)
        with gr.Row(elem_classes="bench"):
            with gr.Column(scale=1, min_width=320, elem_classes="bench-side"):
                asking = _asking(page)
            with gr.Column(scale=1, min_width=320, elem_classes="bench-side"):
                showing = build_showing()
        handlers = _Handlers(page, session, asking, showing)
        add_code_dialog(page, "tools", asking.code, asking.inputs(), handlers.body)
    handlers.wire()


def _asking(page: PageContext) -> _Asking:
    english, known = Texts("en"), ToolSession().builtin()
    tools = list(known.values())
    offered = first_tools(known)
    start = definitions_view(None, list(offered.values()), tools, FIRST_CALL, english)
    prompt = gr.Textbox(english("tools_example"), lines=2, max_lines=10, elem_id="tools-prompt")
    ready = gr.CheckboxGroup(start.boxes, value=start.menus.ticked, elem_id="ready-tools")
    with gr.Row(elem_classes="actions"):
        upload = gr.Button(size="md", elem_id="upload-table")
        uploaded = gr.Textbox(visible=False)
    table = gr.HTML(elem_id="table-check")
    definitions = gr.Code(every_builtin(offered), language="json", lines=8, max_lines=10, elem_id="definitions")
    check = gr.HTML(start.check, elem_id="definitions-check")
    choice = gr.Dropdown(start.menus.choices, value=start.menus.chosen, elem_id="tool-choice")
    with gr.Row(elem_classes="sliders"):
        temperature = temperature_slider(page, "tools-temperature", 0.0)
        max_tokens = max_tokens_slider(page, "tools-max-tokens")
    with gr.Row(elem_classes="actions"):
        run = gr.Button(variant="primary", size="md", elem_id="run-tools")
        stop = gr.Button(size="md", interactive=False, elem_id="stop-tools")
        code = gr.Button(size="md", elem_id="tools-use-code")
    page.localize(prompt, label="prompt")
    page.localize(ready, label="tools_ready", info="tools_ready_info")
    page.localize(upload, value="table_upload")
    page.localize(definitions, label="tools_definitions")
    page.localize(choice, label="tool_choice")
    page.localize(run, value="run")
    page.localize(stop, value="stop")
    return _Asking(
        prompt, ready, upload, uploaded, table, definitions, check, choice, temperature, max_tokens, run, stop, code
    )


class _Handlers:
    """From Gradio's arguments to the actions', and from views to Gradio's updates."""

    def __init__(self, page: PageContext, session: gr.State, asking: _Asking, showing: Showing) -> None:
        self._page = page
        self._session = session
        self._asking = asking
        self._showing = showing
        self._calls = BuiltinCalls(page.stores.tables, page.stores.knowledge)
        self._actions = ToolActions(page.service, self._calls)

    def wire(self) -> None:
        """Tie the components' events to the handlers."""
        page, asking, showing = self._page, self._asking, self._showing
        context: set[Block] = {self._session, page.language}
        shown = [showing.steps, showing.answer, showing.state, asking.run, asking.stop]
        asking.run.click(streaming(self.run, self._updates), asking.inputs() | context, shown, **QUEUED)
        asking.stop.click(self.stop, {self._session}, None, **QUICK)
        asking.ready.input(
            self.choose,
            {self._session, asking.ready, asking.definitions},
            [asking.definitions],
            trigger_mode="always_last",
            **QUEUED,
        )
        asking.upload.click(
            self.upload,
            [asking.uploaded, asking.definitions, self._session, page.language],
            [asking.table, asking.definitions],
            js=PICK_TABLE,
            trigger_mode="multiple",  # a picker that was closed never answers
            **QUEUED,
        )
        defined, checked = {asking.definitions, asking.choice} | context, [asking.check, asking.ready, asking.choice]
        asking.definitions.change(self.check, defined, checked, trigger_mode="always_last", **QUEUED)
        page.translate_apart(self.check, defined, checked)
        page.translate(self.translate, context, [asking.table, *shown])
        page.translate_samples(asking.prompt, [TEXTS["tools_example"]])
        page.keep(asking.prompt, first=TEXTS["tools_example"])
        page.keep(asking.definitions, first=(every_builtin(first_tools(ToolSession().builtin())),))

    def run(self, values: Values, request: gr.Request) -> Views:
        language = language_of(values[self._page.language])
        session, task, files_of = self._session_of(values), self._task(values), chats_owner(request)
        return self._actions.run(session, task, visitor(request), language, files_of)

    def stop(self, values: Values) -> None:
        self._session_of(values).stop()

    def choose(self, values: Values) -> Updates:
        asking, ticked = self._asking, values[self._asking.ready]
        names = [text(name) for name in ticked] if isinstance(ticked, list) else []
        session, definitions = self._session_of(values), text(values[asking.definitions])
        return {asking.definitions: self._actions.choose(session, names, definitions)}

    def upload(
        self, outcome: object, written: object, session: object, language: object, request: gr.Request
    ) -> tuple[str, str]:
        """What PICK_TABLE has to tell, as the line under the button and the definitions."""
        tools, definitions, user = session_of(session, ToolSession), text(written), owner(request)
        refusal = ""
        try:
            definitions = self._calls.take(tools, text(outcome), user, definitions)
        except ValueError as error:
            refusal = str(error)
        return table_html(tools.table, refusal, Texts(language_of(language))), definitions

    async def check(self, values: Values, request: gr.Request) -> Updates:
        """The line under the editor, and the boxes and choices that follow from it."""
        asking, session = self._asking, self._session_of(values)
        definitions, chosen = text(values[asking.definitions]), text(values[asking.choice])
        view = await self._actions.check(session, definitions, chosen, visitor(request), self._texts(values))
        ticked = gr.update() if view.menus.ticked is None else gr.update(value=view.menus.ticked)
        return {
            asking.check: view.check,
            asking.ready: ticked | {"choices": view.boxes},
            asking.choice: gr.update(choices=view.menus.choices, value=view.menus.chosen),
        }

    def translate(self, values: Values, _: gr.Request) -> Updates:
        """The same in the other language."""
        session, texts = self._session_of(values), self._texts(values)
        return self._updates(session.picture(texts)) | {self._asking.table: table_html(session.table, "", texts)}

    async def body(self, values: Values, user: str) -> RequestBody:
        return await self._actions.body(self._task(values), user, Texts("en"))

    def _texts(self, values: Values) -> Texts:
        return self._session_of(values).slot.speak(language_of(values[self._page.language]))

    def _session_of(self, values: Values) -> ToolSession:
        return session_of(values[self._session], ToolSession)

    def _task(self, values: Values) -> ToolTask:
        asking = self._asking
        return ToolTask(
            prompt=text(values[asking.prompt]),
            definitions=text(values[asking.definitions]),
            choice=text(values[asking.choice]) or "auto",
            temperature=temperature_of(values[asking.temperature], 0.0),
            max_tokens=max_tokens_of(values[asking.max_tokens], self._page.service.info().context_tokens),
        )

    def _updates(self, view: ToolsView) -> Updates:
        asking, showing = self._asking, self._showing
        return changed(
            {
                showing.steps: view.steps,
                showing.answer: view.answer,
                showing.state: view.state,
                asking.run: None if view.running is None else gr.update(interactive=not view.running),
                asking.stop: None if view.running is None else gr.update(interactive=view.running),
            }
        )
