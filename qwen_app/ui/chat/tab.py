"""The chat tab: its components and which action each event starts."""

from __future__ import annotations

from contextlib import aclosing
from functools import partial
from typing import Any

import gradio as gr

from qwen_app.openai_format import RequestBody
from qwen_app.ui.chat.actions import ChatActions, ChatSession, View, Views
from qwen_app.ui.chat.controls import Choices, build_controls, read_choices
from qwen_app.ui.shared.code_dialog import add_code_dialog
from qwen_app.ui.shared.context import QUICK, PageContext, visitor
from qwen_app.ui.shared.strings import Language, Texts

LATEX: list[dict[str, str | bool]] = [
    {"left": "$$", "right": "$$", "display": True},
    {"left": "\\[", "right": "\\]", "display": True},
    {"left": "\\(", "right": "\\)", "display": False},
]
EXAMPLES = ("example_capital", "example_code", "example_explain")
TOGGLE_SETTINGS = "() => { document.getElementById('chat-row').classList.toggle('settings-open'); }"
SESSION_TTL_S = 24 * 3600


def build(page: PageContext) -> None:
    """Add the tab to the Blocks being built."""
    with gr.Tab(elem_id="chat-tab") as tab:
        page.localize(tab, label="chat_tab")
        session = gr.State(ChatSession(), time_to_live=SESSION_TTL_S, delete_callback=ChatSession.abandon)
        with gr.Row(elem_id="chat-row"):
            with gr.Column(scale=4, elem_id="chat-column"):
                new_chat, use_code = _tools(page)
                chat = _conversation(page)
                notice = gr.HTML(elem_id="notice")
                composer = _composer(page)
                with gr.Row(elem_id="under-composer"):
                    meter = gr.HTML(elem_id="meter")
                    keys = gr.HTML(elem_id="keys")
                    page.localize(keys, value="keys")
                footer = gr.HTML(elem_id="ai-notice")
                page.localize(footer, value="ai_notice")
            with gr.Column(scale=1, min_width=280, elem_id="settings-panel"):
                close = gr.Button(size="sm", elem_id="close-settings")
                page.localize(close, value="close")
                close.click(None, js=TOGGLE_SETTINGS, api_visibility="private")
                controls = build_controls(page)
        code_inputs = [session, composer, *controls]
        add_code_dialog(page, "chat", use_code, code_inputs, _Handlers(page).body)
    _wire(page, session, chat, [chat, meter, notice, composer], controls, new_chat)


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
    chat = gr.Chatbot(
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
        examples=_examples(Texts("en")),  # type: ignore[arg-type]
    )
    page.localize(chat, label="chat_label")
    return chat


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


def _wire(
    page: PageContext,
    session: gr.State,
    chat: gr.Chatbot,
    views: list[Any],
    controls: list[Any],
    new_chat: gr.Button,
) -> None:
    _, meter, _, composer = views
    handlers = _Handlers(page)
    composer.submit(handlers.send, [session, composer, *controls], views, **page.generating)
    chat.retry(handlers.regenerate, [session, *controls], views, **page.generating)
    chat.edit(handlers.edit, [session, *controls], views, **page.generating)
    chat.example_select(handlers.example, [session, *controls], views, **page.generating)
    composer.stop(handlers.stop, [session], None, **QUICK)
    chat.undo(handlers.undo, [session, *controls], views, **QUICK)
    new_chat.click(handlers.clear, [session, *controls], views, **QUICK)
    measuring = partial(gr.on, fn=handlers.measure, inputs=[session, composer, *controls], outputs=[meter])
    measuring(
        [page.blocks.load, composer.change, *(control.change for control in controls)],
        trigger_mode="always_last",
        **QUICK,
    )
    page.language.change(handlers.translate, [session, page.language, composer, *controls], [chat, meter], **QUICK)


class _Handlers:
    """From Gradio's arguments to the actions'."""

    def __init__(self, page: PageContext) -> None:
        self._service = page.service
        self._actions = ChatActions(page.service)

    async def send(self, request: gr.Request, session: ChatSession, text: str, *controls: Any) -> Views:
        answering = self._actions.send(session, text, self._choices(controls), visitor(request))
        async with aclosing(answering) as views:
            async for view in views:
                yield view

    async def example(self, event: gr.SelectData, request: gr.Request, session: ChatSession, *controls: Any) -> Views:
        answering = self._actions.send(session, event.value["text"], self._choices(controls), visitor(request))
        async with aclosing(answering) as views:
            async for view in views:
                yield view

    async def regenerate(self, request: gr.Request, session: ChatSession, *controls: Any) -> Views:
        answering = self._actions.regenerate(session, self._choices(controls), visitor(request))
        async with aclosing(answering) as views:
            async for view in views:
                yield view

    async def edit(self, event: gr.EditData, request: gr.Request, session: ChatSession, *controls: Any) -> Views:
        index = event.index if isinstance(event.index, int) else event.index[0]
        answering = self._actions.edit(session, index, event.value, self._choices(controls), visitor(request))
        async with aclosing(answering) as views:
            async for view in views:
                yield view

    def stop(self, session: ChatSession) -> None:
        session.stop()

    async def undo(self, session: ChatSession, *controls: Any) -> View:
        return await self._actions.undo(session, self._choices(controls))

    async def clear(self, session: ChatSession, *controls: Any) -> View:
        return await self._actions.clear(session, self._choices(controls))

    async def measure(self, session: ChatSession, draft: str, *controls: Any) -> str:
        return await self._actions.measure(session, draft, self._choices(controls))

    async def body(self, session: ChatSession, draft: str, *controls: Any) -> RequestBody:
        """The request for the draft, else for the last question, with what of the chat would be sent."""
        return await self._actions.body(session, draft, self._choices(controls))

    async def translate(self, session: ChatSession, language: Language, draft: str, *controls: Any) -> tuple[Any, str]:
        session.language = language
        texts = session.texts
        chat = gr.update(value=self._actions.picture(session), placeholder=_welcome(texts), examples=_examples(texts))
        return chat, await self._actions.measure(session, draft, self._choices(controls))

    def _choices(self, controls: tuple[Any, ...]) -> Choices:
        return read_choices(self._service.info(), *controls)


def _welcome(texts: Texts) -> str:
    return f"<h2>{texts('welcome')}</h2>"


def _examples(texts: Texts) -> list[dict[str, str]]:
    return [{"text": texts(key)} for key in EXAMPLES]
