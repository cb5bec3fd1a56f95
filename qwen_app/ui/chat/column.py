"""The components of the chat's middle column: the conversation, the composer, the lens under it."""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr
from gradio.blocks import Block

from qwen_app.ui.chat.empty_chat import add_tasks, examples, welcome
from qwen_app.ui.chats_panel.panel import add_command, add_shown
from qwen_app.ui.markdown.drawn_answer import drawn_answer
from qwen_app.ui.markdown.maths import DELIMITERS
from qwen_app.ui.shared.context import PageContext
from qwen_app.ui.shared.handlers import Update
from qwen_app.ui.shared.strings import Texts


@dataclass(frozen=True, slots=True)
class ChatParts:
    """The tab's components but for the settings."""

    new_chat: gr.Button
    code: gr.Button
    conversation: gr.Chatbot
    live: gr.Markdown
    line: gr.HTML
    notice: gr.HTML
    documents: gr.HTML
    composer: gr.Textbox
    meter: gr.HTML
    command: gr.HTML
    shown_chat: gr.HTML

    def shown(self) -> list[Block]:
        """What a view may change."""
        drawn = [self.conversation, self.live, self.line, self.meter, self.notice, self.composer]
        return [*drawn, self.shown_chat, self.documents]


def build_column(page: PageContext) -> ChatParts:
    """Add the column's components to the Blocks being built."""
    new_chat, code = _tools(page)
    with gr.Column(elem_id="log"):
        conversation = _conversation(page)
        live = drawn_answer("live")
        line = gr.HTML(elem_id="live-line", apply_default_css=False)
        if not page.for_guests:
            add_tasks(page)
    notice = gr.HTML(elem_id="notice")
    shown_chat = add_shown()
    documents = gr.HTML(elem_id="documents")
    composer = _composer(page)
    with gr.Row(elem_id="under-composer"):
        meter = gr.HTML(elem_id="meter")
        keys = gr.HTML(elem_id="keys")
        page.localize(keys, value="keys")
    footer = gr.HTML(elem_id="ai-notice")
    page.localize(footer, value="ai_notice")
    below = (notice, documents, composer, meter, add_command(), shown_chat)
    return ChatParts(new_chat, code, conversation, live, line, *below)


def inviting(texts: Texts) -> Update:
    """What an empty conversation says, in another language."""
    return gr.update(placeholder=welcome(texts), examples=examples(texts))


def _tools(page: PageContext) -> tuple[gr.Button, gr.Button]:
    with gr.Row(elem_id="chat-tools"):
        new_chat = gr.Button(size="sm", elem_id="new-chat")
        use_code = gr.Button(size="sm", elem_id="chat-use-code", visible=not page.for_guests)
        settings = gr.Button(size="sm", elem_id="toggle-settings", visible=not page.for_guests)
    page.localize(new_chat, value="new_chat")
    page.localize(settings, value="settings")
    return new_chat, use_code


def _conversation(page: PageContext) -> gr.Chatbot:
    conversation = gr.Chatbot(
        elem_id="conversation",
        show_label=False,
        container=False,
        height="auto",
        layout="bubble",
        buttons=["copy"],
        editable="user",
        latex_delimiters=DELIMITERS,
        autoscroll=False,  # scroll.js follows the answer, and leaves a reader alone who scrolled up
        feedback_options=None,
        placeholder=welcome(),
        examples=examples(),
    )
    page.localize(conversation, label="chat_label")
    return conversation


def _composer(page: PageContext) -> gr.Textbox:
    composer = gr.Textbox(
        elem_id="composer",
        show_label=False,
        lines=1,
        max_lines=10,
        autofocus=False,  # touch.js decides
        submit_btn=True,
        container=False,
    )
    page.localize(composer, label="composer_label", placeholder="composer_hint")
    return composer
