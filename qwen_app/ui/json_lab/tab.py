"""The JSON lab: a prompt, a schema, and answers that keep to it."""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr
from gradio.blocks import Block

from qwen_app.openai_format import RequestBody
from qwen_app.ui.json_lab.actions import JsonLabActions, Views
from qwen_app.ui.json_lab.schema_library import EXAMPLES, example_named, titles
from qwen_app.ui.json_lab.session import JsonLabSession
from qwen_app.ui.json_lab.task import JsonTask
from qwen_app.ui.json_lab.view import JsonLabView, runs_html
from qwen_app.ui.shared.code_dialog import add_code_dialog
from qwen_app.ui.shared.context import QUEUED, QUICK, SESSION_TTL_S, PageContext, visitor
from qwen_app.ui.shared.generation_controls import max_tokens_of, max_tokens_slider, temperature_of, temperature_slider
from qwen_app.ui.shared.handlers import Updates, Values, changed, language_of, session_of, streaming, text
from qwen_app.ui.shared.notices import check_html
from qwen_app.ui.shared.strings import Texts


@dataclass(frozen=True, slots=True)
class _Asking:
    """What is asked, and the buttons that ask it."""

    library: gr.Dropdown
    prompt: gr.Textbox
    schema: gr.Code
    check: gr.HTML
    constrained: gr.Checkbox
    strict: gr.Checkbox
    temperature: gr.Slider
    max_tokens: gr.Slider
    run: gr.Button
    repeat: gr.Button
    stop: gr.Button
    code: gr.Button

    def inputs(self) -> set[Block]:
        """The components a task is read from."""
        return {self.prompt, self.schema, self.strict, self.constrained, self.temperature, self.max_tokens}


@dataclass(frozen=True, slots=True)
class _Showing:
    """What becomes of it."""

    outcome: gr.HTML
    tree: gr.JSON
    raw: gr.Code
    runs: gr.HTML


def build(page: PageContext) -> None:
    """Add the tab to the Blocks being built."""
    with gr.Tab(elem_id="json-lab-tab") as tab:
        page.localize(tab, label="json_lab_tab")
        session = gr.State(JsonLabSession(), time_to_live=SESSION_TTL_S, delete_callback=JsonLabSession.stop)
        with gr.Row(elem_classes="bench"):
            with gr.Column(scale=1, min_width=320, elem_classes="bench-side"):
                asking = _asking(page)
            with gr.Column(scale=1, min_width=320, elem_classes="bench-side"):
                showing = _showing(page)
        handlers = _Handlers(page, session, asking, showing)
        add_code_dialog(page, "json-lab", asking.code, asking.inputs(), handlers.body)
    handlers.wire()


def _asking(page: PageContext) -> _Asking:
    first, english = EXAMPLES[0], Texts("en")
    library = gr.Dropdown(titles("en"), value=first.key, elem_id="library")
    prompt = gr.Textbox(first.prompt_in("en"), lines=3, max_lines=10, elem_id="json-lab-prompt")
    schema = gr.Code(first.schema_text(), language="json", lines=8, max_lines=18, elem_id="schema")
    check = gr.HTML(check_html(None, english), elem_id="schema-check")
    with gr.Row(elem_classes="toggles"):
        constrained = gr.Checkbox(True, elem_id="constrained")
        strict = gr.Checkbox(True, elem_id="strict")
    with gr.Row(elem_classes="sliders"):
        temperature = temperature_slider(page, "json-temperature", page.service.info().sampling.temperature)
        max_tokens = max_tokens_slider(page, "json-max-tokens")
    with gr.Row(elem_classes="actions"):
        run = gr.Button(variant="primary", size="md", elem_id="run-json")
        repeat = gr.Button(size="md", elem_id="repeat-json")
        stop = gr.Button(size="md", interactive=False, elem_id="stop-json")
        code = gr.Button(size="md", elem_id="json-use-code")
    page.localize(library, label="library")
    page.localize(prompt, label="prompt")
    page.localize(schema, label="schema")
    page.localize(constrained, label="constrained", info="constrained_info")
    page.localize(strict, label="strict", info="strict_info")
    page.localize(run, value="run")
    page.localize(repeat, value="run_repeat")
    page.localize(stop, value="stop")
    return _Asking(
        library, prompt, schema, check, constrained, strict, temperature, max_tokens, run, repeat, stop, code
    )


def _showing(page: PageContext) -> _Showing:
    outcome = gr.HTML(elem_id="outcome")
    with gr.Tabs(elem_classes="views"):
        with gr.Tab() as tree_tab:
            tree = gr.JSON(show_label=False, open=True, max_height=None, elem_id="tree")
        with gr.Tab() as raw_tab:
            raw = gr.Code(language="json", show_label=False, lines=6, interactive=False, wrap_lines=True, elem_id="raw")
    runs = gr.HTML(elem_id="runs")
    page.localize(tree_tab, label="tree")
    page.localize(raw_tab, label="raw")
    return _Showing(outcome, tree, raw, runs)


class _Handlers:
    """From Gradio's arguments to the actions', and from views to Gradio's updates."""

    def __init__(self, page: PageContext, session: gr.State, asking: _Asking, showing: _Showing) -> None:
        self._page = page
        self._session = session
        self._asking = asking
        self._showing = showing
        self._actions = JsonLabActions(page.service)

    def wire(self) -> None:
        """Tie the components' events to the handlers."""
        page, asking, showing = self._page, self._asking, self._showing
        context = {self._session, page.language}
        shown = [showing.outcome, showing.tree, showing.raw, showing.runs, asking.run, asking.repeat, asking.stop]
        inputs = asking.inputs() | context
        asking.run.click(streaming(self.run, self._updates), inputs, shown, **QUEUED)
        asking.repeat.click(streaming(self.repeat, self._updates), inputs, shown, **QUEUED)
        asking.stop.click(self.stop, {self._session}, None, **QUICK)
        # Not its input: that comes twice with a choice, and whenever the focus leaves it. One's own prompt would go.
        asking.library.change(
            self.pick,
            {asking.library, page.language},
            [asking.prompt, asking.schema],
            trigger_mode="always_last",
            **QUEUED,
        )
        gr.on(
            [asking.schema.change, asking.strict.change],
            self.check,
            {asking.schema, asking.strict, page.language},
            [asking.check],
            trigger_mode="always_last",
            **QUEUED,
        )
        page.translate_apart(self.check, {asking.schema, asking.strict, page.language}, [asking.check])
        page.translate(self.translate, {asking.library} | context, [asking.library, showing.outcome, showing.runs])
        page.translate_samples(asking.prompt, [example.prompt for example in EXAMPLES])
        page.keep(asking.prompt, first=EXAMPLES[0].prompt)
        page.keep(asking.schema, first=(EXAMPLES[0].schema_text(),))

    def run(self, values: Values, request: gr.Request) -> Views:
        language = language_of(values[self._page.language])
        return self._actions.run(self._session_of(values), self._task(values), visitor(request), language)

    def repeat(self, values: Values, request: gr.Request) -> Views:
        language = language_of(values[self._page.language])
        return self._actions.repeat(self._session_of(values), self._task(values), visitor(request), language)

    def stop(self, values: Values) -> None:
        self._session_of(values).stop()

    def pick(self, values: Values) -> Updates:
        example = example_named(text(values[self._asking.library]))
        language = language_of(values[self._page.language])
        return {self._asking.prompt: example.prompt_in(language), self._asking.schema: example.schema_text()}

    async def check(self, values: Values, request: gr.Request) -> Updates:
        asking, language = self._asking, language_of(values[self._page.language])
        schema, strict = text(values[asking.schema]), bool(values[asking.strict])
        return {asking.check: await self._actions.check(schema, strict, visitor(request), language)}

    def translate(self, values: Values, _: gr.Request) -> Updates:
        """The same in the other language."""
        asking, language = self._asking, language_of(values[self._page.language])
        session = self._session_of(values)
        texts = session.slot.speak(language)
        return {
            asking.library: gr.update(choices=titles(language), value=text(values[asking.library])),
            self._showing.outcome: session.outcome(texts),
            self._showing.runs: runs_html(session.runs, "", texts),
        }

    async def body(self, values: Values, user: str) -> RequestBody:
        return await self._actions.body(self._task(values), Texts("en"))

    def _session_of(self, values: Values) -> JsonLabSession:
        return session_of(values[self._session], JsonLabSession)

    def _task(self, values: Values) -> JsonTask:
        asking, info = self._asking, self._page.service.info()
        return JsonTask(
            prompt=text(values[asking.prompt]),
            schema=text(values[asking.schema]),
            strict=bool(values[asking.strict]),
            constrained=bool(values[asking.constrained]),
            temperature=temperature_of(values[asking.temperature], info.sampling.temperature),
            max_tokens=max_tokens_of(values[asking.max_tokens], info.context_tokens),
        )

    def _updates(self, view: JsonLabView) -> Updates:
        asking, showing = self._asking, self._showing
        idle = None if view.running is None else gr.update(interactive=not view.running)
        updates: Updates = {} if view.tree is None else {showing.tree: view.tree or None}
        return updates | changed(
            {
                showing.outcome: view.outcome,
                showing.raw: view.raw,
                showing.runs: view.runs,
                asking.run: idle,
                asking.repeat: idle,
                asking.stop: None if view.running is None else gr.update(interactive=view.running),
            }
        )
