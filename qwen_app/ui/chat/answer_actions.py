"""What is asked of an answer that is there: to go on, a shorter one, one in JSON, the same again, what changed,
whether it is sent again."""

from __future__ import annotations

import asyncio
import dataclasses
from contextlib import aclosing

from qwen_app.ui.answers.rerun import choices_again
from qwen_app.ui.answers.turn_tools import can_go_on
from qwen_app.ui.answers.word_difference import word_difference_html
from qwen_app.ui.chat.actions import ChatActions
from qwen_app.ui.chat.session import ChatSession
from qwen_app.ui.chat.view import ChatView, Views
from qwen_app.ui.conversations.choices import Choices
from qwen_app.ui.conversations.conversation import HOLDS, Conversation, ask, ask_again, go_on, run_before, truncate


class AnswerActions:
    """Handlers like those of ``ChatActions``, which draws and saves what comes of them."""

    def __init__(self, actions: ChatActions) -> None:
        self._actions = actions

    def go_on(self, session: ChatSession, choices: Choices, user: str) -> Views:
        """Write on where the last answer was cut."""

        def with_question(conversation: Conversation) -> Conversation | None:
            return go_on(conversation) if conversation.turns and can_go_on(conversation.last) else None

        return self._actions.answer(session, with_question, _in_words(choices), user)

    def ask(self, session: ChatSession, key: str, choices: Choices, user: str, *, json_mode: bool = False) -> Views:
        """Ask the text of this name, about the last answer."""
        choices = dataclasses.replace(_in_words(choices), json_mode=json_mode or choices.json_mode)

        def with_question(conversation: Conversation) -> Conversation | None:
            question = session.texts(key)
            return ask(conversation, question, json_mode=choices.json_mode) if conversation.turns else None

        return self._actions.answer(session, with_question, choices, user)

    async def again(self, session: ChatSession, turn: int, user: str) -> Views:
        """Ask for the answer of a turn again: the same settings, seed and sent turns, so the same text."""
        turns = session.conversation.turns
        choices = choices_again(turns[turn]) if 0 <= turn < len(turns) else None
        if choices is None:
            yield ChatView()
            return

        def with_question(conversation: Conversation) -> Conversation:
            return ask_again(truncate(conversation, turn + 1), json_mode=choices.json_mode)

        async with aclosing(self._actions.answer(session, with_question, choices, user)) as views:
            async for view in views:
                yield view
        conversation = session.conversation
        if len(conversation.turns) == turn + 1 and conversation.last.run is not None:
            yield await self._compared(session, turn, note="difference_rounding")

    async def hold(self, session: ChatSession, turn: int, place: int) -> ChatView:
        """Pin a turn, leave it out, or neither: what stands in this place of HOLDS."""
        wanted = HOLDS[place] if 0 <= place < len(HOLDS) else "auto"
        return await self._actions.hold(session, turn, wanted)

    async def compare(self, session: ChatSession, turn: int) -> ChatView:
        """Show how the answer differs from the run before, or show that no more."""
        conversation = session.conversation
        before = run_before(conversation, turn) if 0 <= turn < len(conversation.turns) else None
        if before is None:
            return ChatView()
        after = conversation.turns[turn]
        if session.compared.pop(after.id, None) is None:
            return await self._compared(session, turn)
        return ChatView(self._actions.picture(session))

    async def _compared(self, session: ChatSession, turn: int, note: str = "") -> ChatView:
        conversation, texts = session.conversation, session.texts
        after, before = conversation.turns[turn], run_before(conversation, turn)
        if before is not None:
            html = await asyncio.to_thread(word_difference_html, before.answer, after.answer, texts, note)
            session.compared[after.id] = html
        return ChatView(self._actions.picture(session))


def _in_words(choices: Choices) -> Choices:
    """The settings without a form or a beginning of the answer: it has one, or is asked for in words."""
    return dataclasses.replace(choices, json_mode=False, start="", problem="")
