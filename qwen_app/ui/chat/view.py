"""A conversation as the Chatbot component draws it: two messages a turn, question and answer.

Parts of the form ``{"type": "text"}`` are used throughout, for the component re-indents plain strings.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import Literal, TypedDict

from qwen_app.errors import ContextLengthExceeded, TextTooLong
from qwen_app.ui.chat.conversation import Conversation, Turn
from qwen_app.ui.shared.notices import failure_html, notice_html
from qwen_app.ui.shared.render import safe_markdown
from qwen_app.ui.shared.run_line import Run, run_line, waiting_line
from qwen_app.ui.shared.stream import Progress
from qwen_app.ui.shared.strings import Texts


class TextPart(TypedDict):
    type: Literal["text"]
    text: str


class DrawnMessage(TypedDict):
    """A message as Gradio's Chatbot takes it."""

    role: Literal["user", "assistant"]
    content: list[TextPart]


@dataclass(frozen=True, slots=True)
class ChatView:
    """What changes on the page; None leaves a part as it is.

    ``running`` says whether an answer is being written: then the composer's button stops it, else it sends. ``draft``
    is the composer's new text, and comes with ``running``.
    """

    messages: list[DrawnMessage] | None = None
    meter: str | None = None
    notice: str | None = None
    running: bool | None = None
    draft: str | None = None


def chat_messages(conversation: Conversation, texts: Texts, progress: Progress | None = None) -> list[DrawnMessage]:
    """Messages for the Chatbot; ``progress`` is that of the last turn while it is being answered."""
    messages: list[DrawnMessage] = []
    last = len(conversation.turns) - 1
    for number, turn in enumerate(conversation.turns):
        parts = _answer_parts(turn, texts, progress if number == last else None)
        if number + 1 == conversation.window_start:
            parts.append(f'<div class="left-out">{texts("left_out")}</div>')
        messages.append(_message("user", [safe_markdown(turn.question)]))
        messages.append(_message("assistant", parts))
    return messages


def turn_of(message_index: int) -> int:
    """Number of the turn that the Chatbot's message belongs to."""
    return message_index // 2


def refusal_html(error: Exception, texts: Texts) -> str:
    """Why a question could not be asked."""
    if isinstance(error, ContextLengthExceeded) and not isinstance(error, TextTooLong):  # which counted no tokens
        needed, room = f"{error.prompt_tokens:,}", f"{error.limit_tokens - error.answer_tokens:,}"
        return notice_html(texts("too_long", needed=needed, room=room, context=f"{error.limit_tokens:,}"))
    return failure_html(error, texts)


def _answer_parts(turn: Turn, texts: Texts, progress: Progress | None) -> list[str]:
    parts: list[str] = []
    if turn.answer:
        parts.append(_json_block(turn.answer) if turn.json_mode else safe_markdown(turn.answer))
    elif turn.run is None:
        parts.append(f'<div class="waiting">{waiting_line(progress or Progress(), texts)}</div>')
    if turn.run is not None and turn.run.error_code:
        parts.append(_error_html(turn.run, texts, partial=bool(turn.answer)))
    if turn.run is not None:
        parts.append(f'<div class="run-line run-{turn.run.reason}">{escape(run_line(turn.run, texts))}</div>')
    return parts


def _error_html(run: Run, texts: Texts, *, partial: bool) -> str:
    kept = " " + texts("run_partial") if partial else ""
    return f'<div class="run-error" role="alert">{escape(texts.error(run.error_code, run.error_text) + kept)}</div>'


def _json_block(text: str) -> str:
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}json\n{text}\n{fence}"


def _message(role: Literal["user", "assistant"], parts: list[str]) -> DrawnMessage:
    return {"role": role, "content": [{"type": "text", "text": part} for part in parts]}
