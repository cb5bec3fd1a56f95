"""Shows a saved chat again as it came about, and takes what the page's buttons say to that."""

from __future__ import annotations

from contextlib import aclosing

from qwen_app.ui.chat.actions import ChatActions
from qwen_app.ui.chat.session import ChatSession, shown_chat
from qwen_app.ui.chat.view import ChatView, Views
from qwen_app.ui.conversations.choices import Choices
from qwen_app.ui.conversations.open_chat import OpenChat, OpenChats
from qwen_app.ui.conversations.replay import SPEEDS, Replay
from qwen_app.ui.shared.handlers import entry, index_of, text


class Replaying:
    """Commands like those of ``ChatCommands``."""

    def __init__(self, actions: ChatActions, chats: OpenChats) -> None:
        self._actions = actions
        self._chats = chats

    async def begin(self, session: ChatSession, command: object, choices: Choices, _: str) -> Views:
        """Show the chat with this id from its beginning; at the end, the chat itself is open."""
        wish = session.wishes.begin()
        recorded = await self._chats.find(session.owner, text(entry(command, "id")))
        if session.wishes.is_overtaken(wish) or recorded is None or not recorded.conversation.turns:
            yield ChatView()
            return
        stage = session.chat = OpenChat()  # saved nowhere, and nobody else's
        session.replay = replay = Replay(recorded.conversation)
        drawing = self._actions.drawing()
        yield ChatView([], notice="", meter="", running=True, shown=shown_chat(session))
        try:
            async with aclosing(replay.frames()) as frames:
                async for stage.conversation, progress in frames:
                    if session.chat is not stage:  # another chat was opened meanwhile
                        return
                    if progress is None:
                        yield ChatView(self._actions.picture(session))
                    else:
                        yield drawing.view(session, progress, choices)
        finally:  # also where nobody looks on any more: what is asked next is asked in the chat itself
            if session.replay is replay:
                session.replay = None
            for message in reversed(stage.waiting):  # typed into the picture, meant for the chat
                recorded.wait_first(message)
            left = session.chat is not stage
            if not left:
                session.chat = recorded
        if not left:
            yield await self._actions.show(session, choices)

    async def pause(self, session: ChatSession, *_: object) -> Views:
        """Stand still, or go on."""
        if session.replay is not None:
            session.replay.paused = not session.replay.paused
        yield ChatView(shown=shown_chat(session))

    async def speed(self, session: ChatSession, command: object, *_: object) -> Views:
        """As fast as it was, or one of the other SPEEDS."""
        place = index_of(entry(command, "step"))
        if session.replay is not None and 0 <= place < len(SPEEDS):
            session.replay.speed = SPEEDS[place]
        yield ChatView(shown=shown_chat(session))

    async def end(self, session: ChatSession, *_: object) -> Views:
        """Show the chat as a whole."""
        session.stop()
        yield ChatView()
