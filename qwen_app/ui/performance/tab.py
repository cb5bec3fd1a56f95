"""The performance tab: what to measure at the left, what was found at the right."""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr
from gradio.blocks import Block

from qwen_app.performance.report import short
from qwen_app.performance.values import CONTEXTS, USERS
from qwen_app.ui.performance.actions import PerformanceActions, PerformanceTask, Views
from qwen_app.ui.performance.session import PerformanceSession
from qwen_app.ui.performance.view import PerformanceView, results_html
from qwen_app.ui.shared.context import QUEUED, QUICK, SESSION_TTL_S, PageContext, visitor
from qwen_app.ui.shared.handlers import Updates, Values, changed, language_of, session_of, streaming
from qwen_app.ui.shared.strings import Texts

FIRST_CONTEXTS = 2  # of those that fit: a small machine reads the longer ones for minutes


@dataclass(frozen=True, slots=True)
class _Parts:
    """The tab's components."""

    contexts: gr.CheckboxGroup
    users: gr.CheckboxGroup
    busy_too: gr.Checkbox
    run: gr.Button
    stop: gr.Button
    state: gr.HTML
    results: gr.HTML
    paste: gr.Code


def build(page: PageContext) -> None:
    """Add the tab to the Blocks being built."""
    with gr.Tab(elem_id="performance-tab") as tab:
        page.localize(tab, label="performance_tab")
        session = gr.State(PerformanceSession(), time_to_live=SESSION_TTL_S, delete_callback=PerformanceSession.stop)
        parts = _parts(page)
    _Handlers(page, session, parts).wire()


def _parts(page: PageContext) -> _Parts:
    info = page.service.info()
    fitting = [tokens for tokens in CONTEXTS if tokens <= info.context_tokens] or [info.context_tokens]
    many = [users for users in USERS if users <= info.slots]
    with gr.Row(elem_classes="bench"):
        with gr.Column(scale=1, min_width=280, elem_classes="bench-side"):
            about = gr.HTML(elem_id="perf-about")
            contexts = gr.CheckboxGroup(
                [(short(tokens), tokens) for tokens in fitting], value=fitting[:FIRST_CONTEXTS], elem_id="perf-contexts"
            )
            users = gr.CheckboxGroup(many, value=[*{many[0], many[-1]}], elem_id="perf-users")
            busy_too = gr.Checkbox(False, elem_id="perf-busy")
            with gr.Row(elem_classes="actions"):
                run = gr.Button(variant="primary", size="md", elem_id="perf-run")
                stop = gr.Button(size="md", interactive=False, elem_id="perf-stop")
            state = gr.HTML(elem_id="perf-state")
        with gr.Column(scale=2, min_width=320, elem_classes="bench-side"):
            results = gr.HTML(results_html(None, Texts("en")), elem_id="perf-results")
            paste = gr.Code(
                language="markdown", lines=4, max_lines=12, interactive=False, visible=False, elem_id="perf-paste"
            )
    page.localize(about, value="perf_about")
    page.localize(contexts, label="perf_contexts", info="perf_contexts_info")
    page.localize(users, label="perf_users")
    page.localize(busy_too, label="perf_busy_too", info="perf_busy_info")
    page.localize(run, value="perf_run")
    page.localize(stop, value="stop")
    page.localize(paste, label="perf_paste")
    return _Parts(contexts, users, busy_too, run, stop, state, results, paste)


class _Handlers:
    """From Gradio's arguments to the actions', and from views to Gradio's updates."""

    def __init__(self, page: PageContext, session: gr.State, parts: _Parts) -> None:
        self._page = page
        self._session = session
        self._parts = parts
        self._actions = PerformanceActions(page.service, page.settings)

    def wire(self) -> None:
        """Tie the components' events to the handlers."""
        page, parts = self._page, self._parts
        context: set[Block] = {self._session, page.language}
        shown = [parts.state, parts.results, parts.paste, parts.run, parts.stop]
        inputs: set[Block] = {parts.contexts, parts.users, parts.busy_too}
        parts.run.click(streaming(self.run, self._updates), inputs | context, shown, **QUEUED)
        parts.stop.click(self.stop, {self._session}, None, **QUICK)
        page.translate(self.translate, context, shown)

    def run(self, values: Values, request: gr.Request) -> Views:
        parts, language = self._parts, language_of(values[self._page.language])
        task = PerformanceTask(
            _numbers(values[parts.contexts]), _numbers(values[parts.users]), busy_too=values[parts.busy_too] is True
        )
        return self._actions.run(self._session_of(values), task, visitor(request), language)

    def stop(self, values: Values) -> None:
        self._session_of(values).stop()

    def translate(self, values: Values, _: gr.Request) -> Updates:
        session = self._session_of(values)
        texts = session.slot.speak(language_of(values[self._page.language]))
        return self._updates(self._actions.picture(session, texts))

    def _session_of(self, values: Values) -> PerformanceSession:
        return session_of(values[self._session], PerformanceSession)

    def _updates(self, view: PerformanceView) -> Updates:
        parts = self._parts
        return changed(
            {
                parts.state: view.state,
                parts.results: view.results,
                parts.paste: None if view.paste is None else gr.update(value=view.paste, visible=bool(view.paste)),
                parts.run: None if view.running is None else gr.update(interactive=not view.running),
                parts.stop: None if view.running is None else gr.update(interactive=view.running),
            }
        )


def _numbers(value: object) -> list[int]:
    """The ticked numbers; whatever else a browser sent is left out."""
    return [one for one in value if type(one) is int] if isinstance(value, list) else []
