"""A conversation as the Chatbot component draws it: two messages a turn, question and answer.

Parts of the form ``{"type": "text"}`` are used throughout, for the component re-indents plain strings.
"""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, TypedDict

from qwen_app.errors import ContextLengthExceeded, TextTooLong
from qwen_app.ui.answers.answer_parts import answer_parts
from qwen_app.ui.answers.run_card import run_card_html, run_tools
from qwen_app.ui.answers.turn_tools import turn_tools
from qwen_app.ui.conversations.conversation import Conversation, Turn
from qwen_app.ui.documents.attachment_view import sent_html
from qwen_app.ui.markdown.typed import typed_html
from qwen_app.ui.shared.notices import failure_html, notice_html
from qwen_app.ui.shared.render import typed_text, verbatim
from qwen_app.ui.shared.stream import Progress
from qwen_app.ui.shared.strings import Texts

RECENT_TURNS, FOLDED_TURNS = 20, 10
DRAWN_WEIGHT = 1_000_000  # about as many characters of prose: a quarter of a second at the very worst


class TextPart(TypedDict):
    type: Literal["text"]
    text: str


class DrawnMessage(TypedDict):
    """A message as Gradio's Chatbot takes it."""

    role: Literal["user", "assistant"]
    content: list[TextPart]


@dataclass(frozen=True, slots=True)
class ShownReplay:
    """That what is shown is a recording. ``timed``: with the times it was recorded with."""

    paused: bool
    speed: int
    timed: bool


@dataclass(frozen=True, slots=True)
class ShownChat:
    """What the page's own scripts have to know: the id (empty: the chat cannot be found again), what waits, and
    whether it is a replay. So many ``earlier`` turns are not on the page. ``last`` changes with the last answer, once
    it has ended: of a quick one a browser may draw the end alone, and never see that it was ``running``. ``gone`` is
    the id of a chat that was asked for and is not there."""

    id: str = ""
    temporary: bool = False
    running: bool = False
    waiting: tuple[tuple[str, str], ...] = ()  # ids and texts
    replay: ShownReplay | None = None
    earlier: int = 0
    last: str = ""
    gone: str = ""


@dataclass(frozen=True, slots=True)
class ChatView:
    """What changes on the page; None leaves a part as it is.

    ``running`` says whether an answer is being written: then the composer's button stops it, else it sends. ``draft``
    is the composer's new text, and comes with ``running``. ``live`` is the answer being written, as markdown, and
    ``line`` what stands under it, as HTML. ``shown`` says which chat that is, ``documents`` are the chips above the
    composer.
    """

    messages: list[DrawnMessage] | None = None
    live: str | None = None
    meter: str | None = None
    notice: str | None = None
    running: bool | None = None
    draft: str | None = None
    shown: ShownChat | None = None
    documents: str | None = None
    line: str | None = None


Views = AsyncGenerator[ChatView, None]


def chat_messages(
    conversation: Conversation,
    texts: Texts,
    progress: Progress | None = None,
    *,
    continues: bool = True,
    compared: Mapping[str, str] = MappingProxyType({}),
    first: int = 0,
) -> list[DrawnMessage]:
    """Messages for the Chatbot from turn ``first`` on; ``progress`` is that of the last turn while it is answered.

    ``continues`` says that the engine goes on with an answer that was begun, ``compared`` has the differences that are
    shown, by the turns' ids.
    """
    messages: list[DrawnMessage] = []
    last = len(conversation.turns) - 1
    first_drawn = _first_drawn(conversation.turns)
    for number, turn in enumerate(conversation.turns[first:], first):
        plainly = number < first_drawn
        parts = answer_parts(turn, texts, progress if number == last else None, plainly=plainly)
        parts += _below(conversation, number, texts, continues=continues, difference=compared.get(turn.id, ""))
        question = verbatim(turn.question) if plainly else typed_html(turn.question, texts("show_all"))
        messages.append(_message("user", [question + sent_html(turn.documents, texts)]))
        messages.append(_message("assistant", parts))
    return messages


def live_text(
    conversation: Conversation, texts: Texts, progress: Progress, draw: Callable[[str], str], *, continues: bool = True
) -> str:
    """The last answer while it is written: what ``chat_messages`` has of it, as one text."""
    parts = answer_parts(conversation.last, texts, progress, draw=draw)
    return "\n\n".join(parts + _below(conversation, len(conversation.turns) - 1, texts, continues=continues))


def _below(
    conversation: Conversation, number: int, texts: Texts, *, continues: bool, difference: str = ""
) -> list[str]:
    """What stands under an answer: how it came about, how it differs from another, what can be done with it."""
    turn, card = conversation.turns[number], ""
    if turn.run is not None:
        card = run_card_html(turn.run, texts, turn.settings, run_tools(conversation, number, texts))
    parts = (card, difference, turn_tools(conversation, number, texts, continues=continues))
    return [part for part in parts if part]


def _first_drawn(turns: Sequence[Turn]) -> int:
    """The turns from this one on are drawn; what is before them, in a chat longer than any that people read, stands
    there as it was written. The event loop draws: a chat of megabytes, brought in from a file, held it for ten seconds.
    """
    left = DRAWN_WEIGHT
    for number in range(len(turns) - 1, -1, -1):
        question, answer = turns[number].question, turns[number].answer
        left -= (
            4 * len(question) + len(answer) + 20 * sum(map(answer.count, "\n`")) + 4 * sum(map(answer.count, "*$<!"))
        )
        if left < 0:
            return number + 1
    return 0


def first_recent(turns: int) -> int:
    """Number of the first turn to draw: the Chatbot takes in all it has with every question, a tenth of a second for
    ten turns. Older ones are folded ten at a time, for all that stay move up."""
    return max(0, (turns - RECENT_TURNS) // FOLDED_TURNS * FOLDED_TURNS)


def turn_of(message_index: int, first: int) -> int:
    """Number of the turn that the Chatbot's message belongs to, where its messages begin with turn ``first``."""
    return first + message_index // 2


def typed_question(shown: str) -> str:
    """What was typed, of a question as the Chatbot gives it back."""
    return typed_text(shown)


def refusal_html(error: Exception, texts: Texts) -> str:
    """Why a question could not be asked."""
    if isinstance(error, ContextLengthExceeded) and not isinstance(error, TextTooLong):  # which counted no tokens
        needed, room = f"{error.prompt_tokens:,}", f"{error.limit_tokens - error.answer_tokens:,}"
        return notice_html(texts("too_long", needed=needed, room=room, context=f"{error.limit_tokens:,}"))
    return failure_html(error, texts)


def not_saved_html(reason: str, texts: Texts) -> str:
    """Why the chat is not saved, by its text's name; empty where it is."""
    return notice_html(texts(reason)) if reason else ""


def without_chat(view: ChatView, chat_id: str, texts: Texts) -> ChatView:
    """The view of an empty chat in place of the one with this id, and that it is."""
    if view.shown is None or not chat_id:
        return view
    shown = dataclasses.replace(view.shown, gone=chat_id)
    return dataclasses.replace(view, shown=shown, notice=notice_html(texts("chat_gone")))


def _message(role: Literal["user", "assistant"], parts: list[str]) -> DrawnMessage:
    return {"role": role, "content": [{"type": "text", "text": part} for part in parts]}
