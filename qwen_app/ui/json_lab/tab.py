"""The JSON workbench: a prompt, a schema, and answers that keep to it."""

from __future__ import annotations

import json
from contextlib import aclosing
from dataclasses import dataclass, fields
from typing import Any

import gradio as gr

from qwen_app.openai_format import RequestBody, openai_body
from qwen_app.ui.chat.controls import DEFAULT_ANSWER_TOKENS, HOTTEST
from qwen_app.ui.chat.tab import SESSION_TTL_S
from qwen_app.ui.json_lab.actions import Task, Views, WorkbenchActions, WorkbenchSession, checked_task
from qwen_app.ui.json_lab.schema_library import EXAMPLES, Example
from qwen_app.ui.json_lab.view import check_html, trials_html
from qwen_app.ui.shared.code_dialog import add_code_dialog
from qwen_app.ui.shared.context import QUICK, PageContext, visitor
from qwen_app.ui.shared.strings import Language, Texts

LANGUAGES = ("en", "zh")


@dataclass(frozen=True, slots=True)
class _Parts:
    """The components that handlers read and write."""

    library: gr.Dropdown
    prompt: gr.Textbox
    schema: gr.Code
    check: gr.HTML
    strict: gr.Checkbox
    constrained: gr.Checkbox
    temperature: gr.Slider
    max_tokens: gr.Slider
    run: gr.Button
    repeat: gr.Button
    stop: gr.Button
    code: gr.Button
    outcome: gr.HTML
    tree: gr.JSON
    raw: gr.Code
    trials: gr.HTML

    def task(self) -> list[Any]:
        return [getattr(self, field.name) for field in fields(Task)]

    def views(self) -> list[Any]:
        return [self.outcome, self.tree, self.raw, self.trials, self.run, self.repeat, self.stop]


def build(page: PageContext) -> None:
    """Add the tab to the Blocks being built."""
    with gr.Tab(elem_id="workbench-tab") as tab:
        page.localize(tab, label="workbench_tab")
        session = gr.State(WorkbenchSession(), time_to_live=SESSION_TTL_S, delete_callback=WorkbenchSession.stop)
        with gr.Row(elem_classes="bench"):
            with gr.Column(scale=1, min_width=320, elem_classes="bench-side"):
                asking = _asking(page)
            with gr.Column(scale=1, min_width=320, elem_classes="bench-side"):
                showing = _showing(page)
        parts = _Parts(**asking, **showing)
        handlers = _Handlers(page)
        add_code_dialog(page, "workbench", parts.code, parts.task(), handlers.body)
    _wire(page, session, parts, handlers)


def _asking(page: PageContext) -> dict[str, Any]:
    info = page.service.info()
    first = EXAMPLES[0]
    library = gr.Dropdown(_titles("en"), value=first.key, elem_id="library")
    prompt = gr.Textbox(first.prompt[0], lines=3, max_lines=10, elem_id="workbench-prompt")
    schema = gr.Code(_schema_text(first), language="json", lines=8, max_lines=18, elem_id="schema")
    check = gr.HTML(check_html(None, Texts("en")), elem_id="schema-check")
    with gr.Row(elem_classes="toggles"):
        constrained = gr.Checkbox(True, elem_id="constrained")
        strict = gr.Checkbox(True, elem_id="strict")
    with gr.Row(elem_classes="sliders"):
        temperature = gr.Slider(
            0, HOTTEST, info.sampling.temperature, step=0.05, buttons=[], elem_id="json-temperature"
        )
        longest = min(DEFAULT_ANSWER_TOKENS, info.context_tokens)
        max_tokens = gr.Slider(1, info.context_tokens, longest, step=1, buttons=[], elem_id="json-max-tokens")
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
    page.localize(temperature, label="temperature")
    page.localize(max_tokens, label="max_tokens")
    page.localize(run, value="run")
    page.localize(repeat, value="run_repeat")
    page.localize(stop, value="stop")
    return {
        "library": library,
        "prompt": prompt,
        "schema": schema,
        "check": check,
        "strict": strict,
        "constrained": constrained,
        "temperature": temperature,
        "max_tokens": max_tokens,
        "run": run,
        "repeat": repeat,
        "stop": stop,
        "code": code,
    }


def _showing(page: PageContext) -> dict[str, Any]:
    outcome = gr.HTML(elem_id="outcome")
    with gr.Tabs(elem_classes="views"):
        with gr.Tab() as tree_tab:
            tree = gr.JSON(show_label=False, open=True, max_height=None, elem_id="tree")
        with gr.Tab() as raw_tab:
            raw = gr.Code(language="json", show_label=False, lines=6, interactive=False, wrap_lines=True, elem_id="raw")
    trials = gr.HTML(elem_id="trials")
    page.localize(tree_tab, label="tree")
    page.localize(raw_tab, label="raw")
    return {"outcome": outcome, "tree": tree, "raw": raw, "trials": trials}


def _wire(page: PageContext, session: gr.State, parts: _Parts, handlers: _Handlers) -> None:
    inputs, views = [session, page.language, *parts.task()], parts.views()
    parts.run.click(handlers.run, inputs, views, **page.generating)
    parts.repeat.click(handlers.repeat, inputs, views, **page.generating)
    parts.stop.click(handlers.stop, [session], None, **QUICK)
    parts.library.input(handlers.pick, [parts.library, page.language], [parts.prompt, parts.schema], **QUICK)
    gr.on(
        [parts.schema.change, parts.strict.change],
        handlers.check,
        [parts.schema, parts.strict, page.language],
        [parts.check],
        trigger_mode="always_last",
        **QUICK,
    )
    page.language.change(
        handlers.translate,
        [session, page.language, parts.library, parts.prompt, parts.schema, parts.strict],
        [parts.library, parts.prompt, parts.check, parts.outcome, parts.trials],
        **QUICK,
    )


class _Handlers:
    """From Gradio's arguments to the actions'."""

    def __init__(self, page: PageContext) -> None:
        self._service = page.service
        self._actions = WorkbenchActions(page.service)

    async def run(self, request: gr.Request, session: WorkbenchSession, language: Language, *values: Any) -> Views:
        running = self._actions.run(session, self._task(values), visitor(request), language)
        async with aclosing(running) as views:
            async for view in views:
                yield view

    async def repeat(self, request: gr.Request, session: WorkbenchSession, language: Language, *values: Any) -> Views:
        running = self._actions.repeat(session, self._task(values), visitor(request), language)
        async with aclosing(running) as views:
            async for view in views:
                yield view

    def stop(self, session: WorkbenchSession) -> None:
        session.stop()

    def pick(self, key: str, language: Language) -> tuple[str, str]:
        example = _example(key)
        return example.prompt[LANGUAGES.index(language)], _schema_text(example)

    async def check(self, schema: str, strict: bool, language: Language) -> str:
        return await self._actions.check(schema or "", bool(strict), language)

    async def translate(
        self, session: WorkbenchSession, language: Language, key: str, prompt: str, schema: str, strict: bool
    ) -> tuple[Any, ...]:
        """The same in the other language; a prompt of the visitor's own stays."""
        texts = Texts(language)
        example = _example(key)
        said = example.prompt[LANGUAGES.index(language)] if prompt in example.prompt else prompt
        check = await self._actions.check(schema or "", bool(strict), language)
        library = gr.update(choices=_titles(language), value=key)
        return library, said, check, session.outcome(texts), trials_html(session.trials, "", texts)

    async def body(self, *values: Any) -> RequestBody:
        task = self._task(values)
        checked_task(task, Texts("en"))
        sampling = self._service.sampling(temperature=task.temperature, max_tokens=task.max_tokens)
        # with a response_format the API puts the schema into the prompt by itself
        messages = task.messages()
        if not task.constrained:
            messages = (await self._service.plan(self._actions.request(task, "code"))).request.messages
        grammar = task.spec() if task.constrained else None
        return openai_body(self._service.info().model, messages, sampling, grammar=grammar)

    def _task(self, values: tuple[Any, ...]) -> Task:
        """Numbers are brought within range, for a browser may send anything."""
        prompt, schema, strict, constrained, temperature, max_tokens = values
        info = self._service.info()
        return Task(
            prompt=str(prompt or ""),
            schema=str(schema or ""),
            strict=bool(strict),
            constrained=bool(constrained),
            temperature=max(0.0, min(HOTTEST, info.sampling.temperature if temperature is None else temperature)),
            max_tokens=int(max(1, min(info.context_tokens, max_tokens or DEFAULT_ANSWER_TOKENS))),
        )


def _example(key: str) -> Example:
    return next((example for example in EXAMPLES if example.key == key), EXAMPLES[0])


def _titles(language: Language) -> list[tuple[str, str]]:
    return [(example.title[LANGUAGES.index(language)], example.key) for example in EXAMPLES]


def _schema_text(example: Example) -> str:
    return json.dumps(example.schema, ensure_ascii=False, indent=2)
