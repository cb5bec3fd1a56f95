"""The answer being written is drawn apart from the conversation, so that a long chat costs no more than a short one.

Gradio's Chatbot takes in all its messages with every change of the last. So while an answer is written the Chatbot
keeps still, and a component below it, in the same scrolling column, shows the answer; once it is over, the Chatbot
gets it and the other is emptied.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from qwen_app.ui.answers.run_card import live_line_html
from qwen_app.ui.chat.lens import Lens, lens_html, unsent_turns
from qwen_app.ui.chat.session import ChatSession, shown_chat
from qwen_app.ui.chat.view import ChatView, DrawnMessage, ShownChat, chat_messages, live_text
from qwen_app.ui.conversations.choices import Choices
from qwen_app.ui.conversations.conversation import Conversation
from qwen_app.ui.markdown.growing import GrowingAnswer
from qwen_app.ui.shared.stream import Progress

FIGURES_S = 0.25  # between two states of speed and meter: nobody reads more of them


async def with_live_answer(
    views: AsyncGenerator[ChatView, None], *, writing: bool = False
) -> AsyncGenerator[ChatView, None]:
    """``views`` with the last message of each taken out into ``live`` while an answer is written; ``writing`` says
    whether one is at first."""
    settled: list[DrawnMessage] | None = None  # what the Chatbot was given
    async with aclosing(views) as views:
        async for view in views:
            writing = view.running if view.running is not None else writing
            if view.messages is None:
                yield view
            elif not writing or not view.messages or view.messages[-1]["role"] == "user":
                settled = None
                yield dataclasses.replace(view, live="", line="")
            else:
                before = view.messages[:-1]
                yield dataclasses.replace(view, messages=None if before == settled else before, live=_text(view))
                settled = before


class LiveDrawing:
    """Draws one chat while its last answer is written; what stays as it is has been drawn.

    ``continues`` says that the engine goes on with an answer that was begun.
    """

    def __init__(self, *, continues: bool = True, clock: Callable[[], float] = time.monotonic) -> None:
        self._continues = continues
        self._draw = GrowingAnswer().drawn
        self._clock = clock
        self._figures_at = float("-inf")
        self._around: object = None
        self._shown: ShownChat | None = None

    def view(self, session: ChatSession, progress: Progress, choices: Choices) -> ChatView:
        """What is new since the last view."""
        conversation, texts, continues = session.conversation, session.texts, self._continues
        view = ChatView(shown=self.news(shown_chat(session)))
        if self.figures_due():
            line = live_line_html(progress, texts)
            view = dataclasses.replace(view, meter=_live_lens(session, progress, choices), line=line)
        if self.around_changed(conversation):
            picture = chat_messages(
                conversation,
                texts,
                progress,
                continues=continues,
                compared=session.compared,
                first=session.first_turn,
            )
            return dataclasses.replace(view, messages=picture)
        live = live_text(conversation, texts, progress, self._draw, continues=continues)
        return dataclasses.replace(view, live=live)

    def around_changed(self, conversation: Conversation) -> bool:
        """Whether anything but the last answer is another than at the last call."""
        around = (conversation.turns[:-1], conversation.others, conversation.last.id)
        changed, self._around = around != self._around, around
        return changed

    def figures_due(self) -> bool:
        """Whether it is time to show figures again."""
        due = self._clock() - self._figures_at >= FIGURES_S
        self._figures_at = self._clock() if due else self._figures_at
        return due

    def news(self, shown: ShownChat) -> ShownChat | None:
        """``shown``, where it is another than at the last call."""
        before, self._shown = self._shown, shown
        return None if shown == before else shown


def _text(view: ChatView) -> str:
    assert view.messages
    return "\n\n".join(part["text"] for part in view.messages[-1]["content"])


def _live_lens(session: ChatSession, progress: Progress, choices: Choices) -> str | None:
    """While an answer is written: what was sent and what is written, as one part that grows."""
    if not progress.prompt_tokens:
        return None
    used = progress.prompt_tokens + progress.completion_tokens
    left = max(0, choices.reserve_tokens() - progress.completion_tokens)
    left_out = progress.planned.left_out if progress.planned else ()
    unsent, edge = unsent_turns(session.conversation, left_out)
    return lens_html(Lens(choices.context_tokens, used, reserve=left, unsent=unsent, edge=edge), session.texts)
