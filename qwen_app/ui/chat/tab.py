"""The chat tab: its components and which action each event starts."""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr
from gradio.blocks import Block
from gradio.components.chatbot import ExampleMessage

from qwen_app.openai_format import RequestBody
from qwen_app.ui.chat.actions import ChatActions, Views
from qwen_app.ui.chat.controls import Choices, Controls, build_controls
from qwen_app.ui.chat.session import ChatSession
from qwen_app.ui.chat.view import ChatView
from qwen_app.ui.shared.code_dialog import add_code_dialog
from qwen_app.ui.shared.context import QUICK, SESSION_TTL_S, PageContext, visitor
from qwen_app.ui.shared.handlers import (
    Update,
    Updates,
    Values,
    changed,
    entry,
    index_of,
    language_of,
    session_of,
    streaming,
    text,
)
from qwen_app.ui.shared.strings import Texts

LATEX: list[dict[str, str | bool]] = [
    {"left": "$$", "right": "$$", "display": True},
    {"left": "\\[", "right": "\\]", "display": True},
    {"left": "\\(", "right": "\\)", "display": False},
]
EXAMPLES = ("example_capital", "example_code", "example_explain")
TOGGLE_SETTINGS = "() => { document.getElementById('chat-row').classList.toggle('settings-open'); }"

# Runs in the browser before each measuring, and hands its values on once nothing was typed for a quarter of a second:
# a promise that is never kept ends an event that a newer one has overtaken. Sending empties the composer, which is such
# a newer event; its sizes are all known by then, so that it costs no count.
DEBOUNCE = """(...values) => new Promise((send) => {
  clearTimeout(window.measuring);
  window.measuring = setTimeout(() => send(values), 250);
})"""


@dataclass(frozen=True, slots=True)
class _Parts:
    """The tab's components but for the settings."""

    new_chat: gr.Button
    code: gr.Button
    conversation: gr.Chatbot
    notice: gr.HTML
    composer: gr.Textbox
    meter: gr.HTML

    def shown(self) -> list[Block]:
        """What a view may change."""
        return [self.conversation, self.meter, self.notice, self.composer]


def build(page: PageContext) -> None:
    """Add the tab to the Blocks being built."""
    with gr.Tab(elem_id="chat-tab") as tab:
        page.localize(tab, label="chat_tab")
        session = gr.State(ChatSession(), time_to_live=SESSION_TTL_S, delete_callback=ChatSession.abandon)
        with gr.Row(elem_id="chat-row"):
            with gr.Column(scale=4, elem_id="chat-column"):
                parts = _column(page)
            with gr.Column(scale=1, min_width=280, elem_id="settings-panel"):
                close = gr.Button(size="sm", elem_id="close-settings")
                page.localize(close, value="close")
                close.click(None, js=TOGGLE_SETTINGS, api_visibility="private")
                controls = build_controls(page)
        handlers = _Handlers(page, session, parts, controls)
        add_code_dialog(page, "chat", parts.code, handlers.inputs | {parts.composer}, handlers.body)
    handlers.wire()


def _column(page: PageContext) -> _Parts:
    new_chat, code = _tools(page)
    conversation = _conversation(page)
    notice = gr.HTML(elem_id="notice")
    composer = _composer(page)
    with gr.Row(elem_id="under-composer"):
        meter = gr.HTML(elem_id="meter")
        keys = gr.HTML(elem_id="keys")
        page.localize(keys, value="keys")
    footer = gr.HTML(elem_id="ai-notice")
    page.localize(footer, value="ai_notice")
    return _Parts(new_chat, code, conversation, notice, composer, meter)


def _tools(page: PageContext) -> tuple[gr.Button, gr.Button]:
    with gr.Row(elem_id="chat-tools"):
        new_chat = gr.Button(size="sm", elem_id="new-chat")
        use_code = gr.Button(size="sm", elem_id="chat-use-code")
        settings = gr.Button(size="sm", elem_id="toggle-settings")
    page.localize(new_chat, value="new_chat")
    page.localize(settings, value="settings")
    settings.click(None, js=TOGGLE_SETTINGS, api_visibility="private")
    return new_chat, use_code


def _conversation(page: PageContext) -> gr.Chatbot:
    conversation = gr.Chatbot(
        elem_id="conversation",
        show_label=False,
        container=False,
        height="100%",
        layout="bubble",
        buttons=["copy"],
        editable="user",
        latex_delimiters=LATEX,
        feedback_options=None,
        placeholder=_welcome(Texts("en")),
        examples=_examples(Texts("en")),
    )
    page.localize(conversation, label="chat_label")
    return conversation


def _composer(page: PageContext) -> gr.Textbox:
    composer = gr.Textbox(
        elem_id="composer",
        show_label=False,
        lines=1,
        max_lines=10,
        autofocus=True,
        submit_btn=True,
        container=False,
    )
    page.localize(composer, label="composer_label", placeholder="composer_hint")
    return composer


class _Handlers:
    """From Gradio's arguments to the actions', and from views to Gradio's updates."""

    def __init__(self, page: PageContext, session: gr.State, parts: _Parts, controls: Controls) -> None:
        self._page = page
        self._session = session
        self._parts = parts
        self._controls = controls
        self._actions = ChatActions(page.service)
        self.inputs: set[Block] = {session} | controls.components()

    def wire(self) -> None:
        """Tie the components' events to the handlers."""
        page, parts, controls = self._page, self._parts, self._controls
        inputs, shown = self.inputs, parts.shown()
        chat, composer, drafted = parts.conversation, parts.composer, inputs | {parts.composer}
        composer.submit(streaming(self.send, self._updates), drafted, shown, **page.generating)
        chat.retry(streaming(self.regenerate, self._updates), inputs, shown, **page.generating)
        chat.edit(streaming(self.edit, self._updates), inputs, shown, **page.generating)
        chat.example_select(streaming(self.example, self._updates), inputs, shown, **page.generating)
        composer.stop(self.stop, {self._session}, None, **QUICK)
        chat.undo(self.undo, inputs, shown, **QUICK)
        parts.new_chat.click(self.clear, inputs, shown, **QUICK)
        page.blocks.load(self.measure, drafted, [parts.meter], **QUICK)
        sliders = (controls.temperature, controls.top_p, controls.max_tokens, controls.context)
        settings = [controls.system.change, controls.seed.change, controls.json_mode.change]
        gr.on(
            [composer.change, *settings, *(slider.change for slider in sliders)],
            self.measure,
            drafted,
            [parts.meter],
            js=DEBOUNCE,
            trigger_mode="always_last",
            **QUICK,
        )
        page.language.change(self.translate, drafted | {page.language}, [chat, parts.meter], **QUICK)

    def send(self, values: Values, request: gr.Request) -> Views:
        draft = text(values[self._parts.composer])
        return self._actions.send(self._session_of(values), draft, self._choices(values), visitor(request))

    def example(self, values: Values, event: gr.SelectData, request: gr.Request) -> Views:
        question = text(entry(event.value, "text"))
        return self._actions.send(self._session_of(values), question, self._choices(values), visitor(request))

    def regenerate(self, values: Values, request: gr.Request) -> Views:
        return self._actions.regenerate(self._session_of(values), self._choices(values), visitor(request))

    def edit(self, values: Values, event: gr.EditData, request: gr.Request) -> Views:
        index, shown = index_of(event.index), text(event.value)
        session, choices = self._session_of(values), self._choices(values)
        return self._actions.edit(session, index, shown, choices, visitor(request))

    def stop(self, values: Values) -> None:
        self._session_of(values).stop()

    async def undo(self, values: Values) -> Updates:
        return self._updates(await self._actions.undo(self._session_of(values), self._choices(values)))

    async def clear(self, values: Values) -> Updates:
        return self._updates(await self._actions.clear(self._session_of(values), self._choices(values)))

    async def measure(self, values: Values) -> Updates:
        """The meter for the draft; an answer that comes draws its own."""
        session = self._session_of(values)
        if session.slot.busy:
            return changed({self._parts.meter: None})
        return {self._parts.meter: await self._meter(values)}

    async def translate(self, values: Values) -> Updates:
        session = self._session_of(values)
        session.language = language_of(values[self._page.language])
        texts, picture = session.texts, self._actions.picture(session)
        chat = gr.update(value=picture, placeholder=_welcome(texts), examples=_examples(texts))
        return {self._parts.conversation: chat, self._parts.meter: await self._meter(values)}

    async def body(self, values: Values, user: str) -> RequestBody:
        """The request for the draft, else for the last question, with what of the chat would be sent."""
        draft = text(values[self._parts.composer])
        return await self._actions.body(self._session_of(values), draft, self._choices(values))

    async def _meter(self, values: Values) -> str:
        draft = text(values[self._parts.composer])
        return await self._actions.measure(self._session_of(values), draft, self._choices(values))

    def _session_of(self, values: Values) -> ChatSession:
        return session_of(values[self._session], ChatSession)

    def _choices(self, values: Values) -> Choices:
        return self._controls.read(values, self._page.service.info())

    def _updates(self, view: ChatView) -> Updates:
        parts = self._parts
        composer: Update | None = None
        if view.running is not None:
            composer = gr.update(submit_btn=not view.running, stop_btn=view.running)
            composer |= {} if view.draft is None else {"value": view.draft}
        return changed(
            {
                parts.conversation: view.messages,
                parts.meter: view.meter,
                parts.notice: view.notice,
                parts.composer: composer,
            }
        )


def _welcome(texts: Texts) -> str:
    return f"<h2>{texts('welcome')}</h2>"


def _examples(texts: Texts) -> list[ExampleMessage]:
    return [{"text": texts(key)} for key in EXAMPLES]
