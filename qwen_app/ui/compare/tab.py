"""The compare tab: its components and which action each event starts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import gradio as gr
from gradio.blocks import Block
from gradio.components import Component

from qwen_app.errors import AppError
from qwen_app.ui.compare.actions import CompareActions, Views
from qwen_app.ui.compare.asking import CompareTask
from qwen_app.ui.compare.comparison import SIDES, Comparison, SideSettings, Vote, comparisons_csv
from qwen_app.ui.compare.session import CompareSession
from qwen_app.ui.compare.view import CompareView, table_html
from qwen_app.ui.markdown.drawn_answer import drawn_answer
from qwen_app.ui.shared.context import QUEUED, QUICK, SESSION_TTL_S, PageContext, chats_owner, visitor
from qwen_app.ui.shared.generation_controls import max_tokens_of, max_tokens_slider, temperature_of, temperature_slider
from qwen_app.ui.shared.handlers import Updates, Values, changed, language_of, number, session_of, streaming, text
from qwen_app.ui.shared.notices import failure_html, notice_html
from qwen_app.ui.shared.strings import TEXTS, Texts

VOTE_BUTTONS: dict[Vote, str] = {"left": "vote_left", "equal": "vote_equal", "right": "vote_right"}

# In the browser: a file of what the server wrote, and the chat that an answer became.
_SAVE_CSV = """(written) => {
  if (written) window.saveFile("comparisons.csv", "\\ufeff" + written, "text/csv");
}"""
_OPEN_CHAT = """(id) => {
  if (!id) return;
  document.getElementById("chat-tab-button")?.click();
  window.chatCommand({ do: "open", id });
}"""


@dataclass(frozen=True, slots=True)
class _Side:
    """One column."""

    system: gr.Textbox
    temperature: gr.Slider
    top_p: gr.Slider
    json_mode: gr.Checkbox
    answer: gr.Markdown
    state: gr.HTML
    keep: gr.Button

    def inputs(self) -> set[Block]:
        return {self.system, self.temperature, self.top_p, self.json_mode}

    def read(self, values: Values, default_temperature: float) -> SideSettings:
        return SideSettings(
            system=text(values[self.system]),
            temperature=temperature_of(values[self.temperature], default_temperature),
            top_p=number(values[self.top_p], 0.01, 1.0, 1.0),
            json_mode=bool(values[self.json_mode]),
        )


def build(page: PageContext) -> None:
    """Add the tab to the Blocks being built."""
    with gr.Tab(elem_id="compare-tab") as tab, gr.Column(elem_id="compare", elem_classes="bench"):
        page.localize(tab, label="compare_tab")
        _CompareTab(page).wire()


class _CompareTab:
    """The components, and the way from their values to the actions and back."""

    def __init__(self, page: PageContext) -> None:
        self._page = page
        self._actions = CompareActions(page.service, page.stores.saved)
        self._session = gr.State(CompareSession(), time_to_live=SESSION_TTL_S, delete_callback=CompareSession.stop)
        self._prompt = gr.Textbox(Texts("en")("compare_example"), lines=2, max_lines=10, elem_id="compare-prompt")
        with gr.Row(elem_classes="actions"):
            self._run = gr.Button(variant="primary", size="md", elem_id="compare-run")
            self._stop = gr.Button(size="md", interactive=False, elem_id="compare-stop")
            self._max_tokens = max_tokens_slider(page, "compare-max-tokens")
        with gr.Row(elem_id="compare-sides"):
            self._sides = [_side(page, name, temperature) for name, temperature in zip(SIDES, (0.0, 1.0), strict=True)]
        self._notice = gr.HTML(elem_id="compare-notice")
        self._difference = gr.HTML(elem_id="compare-difference")
        with gr.Row(elem_id="compare-votes"):
            self._votes = {vote: gr.Button(size="sm", elem_id=f"vote-{vote}") for vote in VOTE_BUTTONS}
            self._export = gr.Button(size="sm", elem_id="compare-csv")
        self._table = gr.HTML(table_html((), Texts("en")), elem_id="compare-table")
        self._written = gr.Textbox(visible=False)
        page.localize(self._prompt, label="prompt")
        page.localize(self._run, value="compare_run")
        page.localize(self._stop, value="stop")
        page.localize(self._export, value="compare_csv")
        for vote, button in self._votes.items():
            page.localize(button, value=VOTE_BUTTONS[vote])

    def wire(self) -> None:
        """Tie the components' events to the handlers."""
        page = self._page
        context: set[Block] = {self._session, page.language}
        inputs = {self._prompt, self._max_tokens, *self._sides[0].inputs(), *self._sides[1].inputs()} | context
        self._run.click(streaming(self.run, self._updates), inputs, self._shown(), **QUEUED)
        self._stop.click(self.stop, {self._session}, None, **QUICK)
        for vote, button in self._votes.items():
            button.click(self._voting(vote), [self._session, page.language], [self._table, self._notice], **QUEUED)
        for place, side in enumerate(self._sides):
            keeping = side.keep.click(
                self._keeping(left=place == 0),
                [self._session, page.language],
                [self._written, self._notice],
                **QUEUED,
            )
            keeping.then(None, [self._written], js=_OPEN_CHAT, api_visibility="private")
        told = [self._written, self._notice]
        exporting = self._export.click(self.csv, [self._session, page.language], told, **QUEUED)
        exporting.then(None, [self._written], js=_SAVE_CSV, api_visibility="private")
        page.translate(self.translate, context, [self._table])
        page.translate_samples(self._prompt, [TEXTS["compare_example"]])
        page.keep(self._prompt, first=TEXTS["compare_example"])
        for side in self._sides:
            page.keep(side.system)

    def run(self, values: Values, request: gr.Request) -> Views:
        task = CompareTask(
            prompt=text(values[self._prompt]),
            sides=(self._read(0, values), self._read(1, values)),
            max_tokens=max_tokens_of(values[self._max_tokens], self._page.service.info().context_tokens),
        )
        return self._actions.run(self._session_of(values), task, visitor(request), self._texts(values))

    def stop(self, values: Values) -> None:
        self._session_of(values).stop()

    def csv(self, session: object, language: object) -> tuple[str, str]:
        done = session_of(session, CompareSession).done
        return (comparisons_csv(done) if done else ""), _first_notice(done, Texts(language_of(language)))

    def translate(self, values: Values, _: gr.Request) -> Updates:
        return {self._table: table_html(self._session_of(values).done, self._texts(values))}

    def _voting(self, vote: Vote) -> Callable[[object, object], tuple[str, str]]:
        def cast(session: object, language: object) -> tuple[str, str]:
            kept, texts = session_of(session, CompareSession), Texts(language_of(language))
            kept.vote(vote)
            return table_html(kept.done, texts), _first_notice(kept.done, texts)

        return cast

    def _keeping(self, *, left: bool) -> Callable[[object, object, gr.Request], Awaitable[tuple[str, str]]]:
        async def keep(session: object, language: object, request: gr.Request) -> tuple[str, str]:
            texts, kept = Texts(language_of(language)), session_of(session, CompareSession)
            try:
                return await self._actions.keep(kept, left=left, owner=chats_owner(request), texts=texts), ""
            except AppError as refusal:
                return "", failure_html(refusal, texts)

        return keep

    def _read(self, place: int, values: Values) -> SideSettings:
        return self._sides[place].read(values, self._page.service.info().sampling.temperature)

    def _texts(self, values: Values) -> Texts:
        return self._session_of(values).slot.speak(language_of(values[self._page.language]))

    def _session_of(self, values: Values) -> CompareSession:
        return session_of(values[self._session], CompareSession)

    def _shown(self) -> list[Component]:
        sides = [part for side in self._sides for part in (side.answer, side.state)]
        return [*sides, self._notice, self._difference, self._table, self._run, self._stop]

    def _updates(self, view: CompareView) -> Updates:
        (left, right), running = self._sides, view.running
        return changed(
            {
                left.answer: view.answers and view.answers[0],
                right.answer: view.answers and view.answers[1],
                left.state: view.states and view.states[0],
                right.state: view.states and view.states[1],
                self._notice: view.notice,
                self._difference: view.difference,
                self._table: view.table,
                self._run: None if running is None else gr.update(interactive=not running),
                self._stop: None if running is None else gr.update(interactive=running),
            }
        )


def _first_notice(done: Sequence[Comparison], texts: Texts) -> str:
    """What is said where there is nothing yet to vote on or to export."""
    return "" if done else notice_html(texts("compare_ask_first"))


def _side(page: PageContext, name: str, temperature: float) -> _Side:
    with gr.Column(min_width=300, elem_id=f"compare-{name}"):
        system = gr.Textbox(lines=2, max_lines=6, elem_id=f"compare-{name}-system")
        with gr.Row(elem_classes="sliders"):
            slider = temperature_slider(page, f"compare-{name}-temperature", temperature)
            top_p = gr.Slider(0.01, 1, page.service.info().sampling.top_p, step=0.01, buttons=[])
        json_mode = gr.Checkbox(False, elem_id=f"compare-{name}-json")
        answer = drawn_answer(f"compare-{name}-answer")
        state = gr.HTML(elem_id=f"compare-{name}-state")
        keep = gr.Button(size="sm", elem_id=f"compare-{name}-keep")
    page.localize(system, label="system_prompt", placeholder="system_hint")
    page.localize(top_p, label="top_p")
    page.localize(json_mode, label="json_mode")
    page.localize(keep, value="compare_keep")
    return _Side(system, slider, top_p, json_mode, answer, state, keep)
