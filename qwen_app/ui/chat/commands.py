"""What the page's own scripts ask of the chat tab: another chat, another branch, what becomes of a waiting message."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import aclosing

from qwen_app.ui.chat.actions import ChatActions
from qwen_app.ui.chat.answer_actions import AnswerActions
from qwen_app.ui.chat.document_commands import DocumentCommands
from qwen_app.ui.chat.replaying import Replaying
from qwen_app.ui.chat.session import ChatSession
from qwen_app.ui.chat.view import ChatView, Views
from qwen_app.ui.conversations.choices import Choices
from qwen_app.ui.conversations.open_chat import OpenChats
from qwen_app.ui.conversations.titles import answering_with_titles
from qwen_app.ui.documents.attaching import Attaching
from qwen_app.ui.shared.context import PageContext
from qwen_app.ui.shared.handlers import entry, index_of, language_of, text

Command = Callable[[ChatSession, object, Choices, str], Views]

# What of them guests have: the chat, and none of its instruments.
GUESTS = {
    *("new", "temporary", "open", "follow", "earlier", "variant", "waiting", "go_on", "shorter"),
    *("attach", "detach", "document_pages", "document_refused"),
    *("replay", "replay_pause", "replay_speed", "replay_end"),
}


def actions_of(page: PageContext) -> ChatActions:
    """The chat's actions on the page's service, with chats that are saved where the page's are."""
    settings = page.settings
    answering = answering_with_titles(
        page.service,
        page.stores.saved,
        unwatched_s=settings.unwatched_s,
        titles=settings.chat_titles,
        turns=page.turns,
    )
    attaching = Attaching(page.service, page.stores.documents)
    return ChatActions(page.service, answering, OpenChats(page.stores.saved), attaching)


class ChatCommands:
    """Each takes the session, the command as the browser sent it, the settings and who asks."""

    def __init__(self, actions: ChatActions, *, for_guests: bool = False) -> None:
        self._actions = actions
        self._answers = AnswerActions(actions)
        documents, replaying = DocumentCommands(actions), Replaying(actions, actions.chats)
        self._commands: dict[str, Command] = {
            "new": self._new,
            "temporary": self._temporary,
            "open": self._open,
            "follow": self._follow,
            "earlier": self._earlier,
            "variant": self._variant,
            "fork": self._fork,
            "waiting": self._waiting,
            "hold": self._hold,
            "go_on": self._go_on,
            "shorter": self._shorter,
            "as_json": self._as_json,
            "again": self._again,
            "compare": self._compare,
            "replay": replaying.begin,
            "replay_pause": replaying.pause,
            "replay_speed": replaying.speed,
            "replay_end": replaying.end,
            "attach": documents.attach,
            "detach": documents.detach,
            "document_pages": documents.choose_pages,
            "documents_in_parts": documents.in_parts,
            "document_refused": documents.refused,
        }
        if for_guests:
            self._commands = {name: command for name, command in self._commands.items() if name in GUESTS}

    async def run(self, session: ChatSession, command: object, choices: Choices, user: str) -> Views:
        """The views of the command; one that is none changes nothing."""
        chosen = self._commands.get(text(entry(command, "do")))
        if chosen is None:
            yield ChatView()
            return
        async with aclosing(chosen(session, command, choices, user)) as views:
            async for view in views:
                yield view

    async def _new(self, session: ChatSession, _: object, choices: Choices, user: str) -> Views:
        yield await self._actions.clear(session, choices)

    async def _temporary(self, session: ChatSession, _: object, choices: Choices, user: str) -> Views:
        yield await self._actions.clear(session, choices, temporary=not session.chat.temporary)

    def _open(self, session: ChatSession, command: object, choices: Choices, user: str) -> Views:
        if language := entry(command, "language"):
            session.language = language_of(language)
        return self._actions.open(session, text(entry(command, "id")), choices)

    def _follow(self, session: ChatSession, _: object, choices: Choices, user: str) -> Views:
        return self._actions.follow(session, choices)

    async def _earlier(self, session: ChatSession, _: object, choices: Choices, user: str) -> Views:
        yield self._actions.unfold(session)

    async def _variant(self, session: ChatSession, command: object, choices: Choices, user: str) -> Views:
        step = 1 if entry(command, "step") == 1 else -1
        yield await self._actions.switch(session, index_of(entry(command, "turn")), step, choices)

    async def _fork(self, session: ChatSession, command: object, choices: Choices, user: str) -> Views:
        yield await self._actions.fork(session, index_of(entry(command, "turn")), choices)

    async def _hold(self, session: ChatSession, command: object, choices: Choices, user: str) -> Views:
        yield await self._answers.hold(session, index_of(entry(command, "turn")), index_of(entry(command, "step")))

    def _go_on(self, session: ChatSession, _: object, choices: Choices, user: str) -> Views:
        return self._answers.go_on(session, choices, user)

    def _shorter(self, session: ChatSession, _: object, choices: Choices, user: str) -> Views:
        return self._answers.ask(session, "ask_shorter", choices, user)

    def _as_json(self, session: ChatSession, _: object, choices: Choices, user: str) -> Views:
        return self._answers.ask(session, "ask_json", choices, user, json_mode=True)

    def _again(self, session: ChatSession, command: object, choices: Choices, user: str) -> Views:
        return self._answers.again(session, index_of(entry(command, "turn")), user)

    async def _compare(self, session: ChatSession, command: object, choices: Choices, user: str) -> Views:
        yield await self._answers.compare(session, index_of(entry(command, "turn")))

    def _waiting(self, session: ChatSession, command: object, choices: Choices, user: str) -> Views:
        what, name = text(entry(command, "what")), text(entry(command, "id"))
        return self._actions.take_back(session, name, choices, what)
