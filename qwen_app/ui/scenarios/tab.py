"""The scenarios tab: a button for each task at the left, verdicts at the right."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import gradio as gr
from gradio.blocks import Block

from qwen_app.ui.scenarios.actions import ALL, ReportForm, ScenarioActions, Views
from qwen_app.ui.scenarios.session import ScenarioSession
from qwen_app.ui.scenarios.view import ScenariosView
from qwen_app.ui.shared.context import QUEUED, QUICK, SESSION_TTL_S, PageContext, visitor
from qwen_app.ui.shared.handlers import Updates, Values, changed, language_of, session_of, streaming
from qwen_app.ui.shared.notices import notice_html
from qwen_app.ui.shared.strings import Texts

SAVE = """(text) => {
  if (text.startsWith("<!doctype")) window.saveFile("scenarios.html", text, "text/html");
  else if (text) window.saveFile("scenarios.md", text, "text/markdown");
}"""


@dataclass(frozen=True, slots=True)
class _Parts:
    """The tab's components; ``one`` are the buttons of the scenarios, by key."""

    run_all: gr.Button
    stop: gr.Button
    one: dict[str, gr.Button]
    markdown: gr.Button
    html: gr.Button
    written: gr.Textbox
    state: gr.HTML
    cards: gr.HTML


def build(page: PageContext) -> None:
    """Add the tab to the Blocks being built."""
    actions = ScenarioActions(page.service)
    with gr.Tab(elem_id="scenarios-tab") as tab:
        page.localize(tab, label="scenarios_tab")
        session = gr.State(ScenarioSession(), time_to_live=SESSION_TTL_S, delete_callback=ScenarioSession.stop)
        parts = _parts(page, actions)
    _Handlers(page, session, parts, actions).wire()


def _parts(page: PageContext, actions: ScenarioActions) -> _Parts:
    with gr.Row(elem_classes="bench"):
        with gr.Column(scale=1, min_width=280, elem_classes="bench-side"):
            about = gr.HTML(elem_id="scen-about")
            with gr.Row(elem_classes="actions"):
                run_all = gr.Button(variant="primary", size="md", elem_id="scen-run")
                stop = gr.Button(size="md", interactive=False, elem_id="scen-stop")
            with gr.Column(elem_id="scen-buttons"):
                one = {
                    scenario.key: gr.Button(scenario.title.told("en"), size="sm", elem_id=f"scen-{scenario.key}")
                    for scenario in actions.known
                }
            with gr.Row(elem_classes="actions"):
                markdown = gr.Button(size="md", elem_id="scen-markdown")
                html = gr.Button(size="md", elem_id="scen-html")
            written = gr.Textbox(visible=False)
        with gr.Column(scale=2, min_width=320, elem_classes="bench-side"):
            state = gr.HTML(elem_id="scen-state")
            cards = gr.HTML(actions.picture(ScenarioSession(), Texts("en")).cards, elem_id="scen-cards")
    page.localize(about, value="scen_about")
    page.localize(run_all, value="scen_run_all")
    page.localize(stop, value="stop")
    page.localize(markdown, value="scen_markdown")
    page.localize(html, value="scen_html")
    return _Parts(run_all, stop, one, markdown, html, written, state, cards)


class _Handlers:
    """From Gradio's arguments to the actions', and from views to Gradio's updates."""

    def __init__(self, page: PageContext, session: gr.State, parts: _Parts, actions: ScenarioActions) -> None:
        self._page = page
        self._session = session
        self._parts = parts
        self._actions = actions

    def wire(self) -> None:
        """Tie the components' events to the handlers."""
        page, parts = self._page, self._parts
        context: set[Block] = {self._session, page.language}
        buttons: list[Block] = [parts.run_all, parts.stop, *parts.one.values()]
        shown: list[Block] = [parts.state, parts.cards, *buttons]
        for key, button in {ALL: parts.run_all, **parts.one}.items():
            button.click(streaming(self._running(key), self._updates), context, shown, **QUEUED)
        parts.stop.click(self.stop, {self._session}, None, **QUICK)
        forms: dict[ReportForm, gr.Button] = {"markdown": parts.markdown, "html": parts.html}
        for form, button in forms.items():
            written = button.click(self._reporting(form), context, [parts.written, parts.state], **QUEUED)
            written.then(None, [parts.written], js=SAVE, api_visibility="private")
        page.translate(self.translate, context, shown)

    def _running(self, key: str) -> Callable[[Values, gr.Request], Views]:
        """The handler that runs one scenario, or all."""

        def run(values: Values, request: gr.Request) -> Views:
            language = language_of(values[self._page.language])
            return self._actions.run(self._session_of(values), key, visitor(request), language)

        return run

    def stop(self, values: Values) -> None:
        self._session_of(values).stop()

    def _reporting(self, form: ReportForm) -> Callable[[Values], Updates]:
        """The handler that writes the report in ``form``."""

        def report(values: Values) -> Updates:
            language = language_of(values[self._page.language])
            written = self._actions.report(self._session_of(values), form, language)
            first: Updates = {self._parts.state: notice_html(Texts(language)("scen_run_first"))}
            return {self._parts.written: written} | ({} if written else first)

        return report

    def translate(self, values: Values, _: gr.Request) -> Updates:
        session = self._session_of(values)
        texts = session.slot.speak(language_of(values[self._page.language]))
        titles: Updates = {
            self._parts.one[scenario.key]: gr.update(value=scenario.title.told(texts.language))
            for scenario in self._actions.known
        }
        return self._updates(self._actions.picture(session, texts)) | titles

    def _session_of(self, values: Values) -> ScenarioSession:
        return session_of(values[self._session], ScenarioSession)

    def _updates(self, view: ScenariosView) -> Updates:
        parts, idle = self._parts, None if view.running is None else gr.update(interactive=not view.running)
        return changed(
            {
                parts.state: view.state,
                parts.cards: view.cards,
                parts.stop: None if view.running is None else gr.update(interactive=view.running),
                **dict.fromkeys((parts.run_all, *parts.one.values()), idle),
            }
        )
