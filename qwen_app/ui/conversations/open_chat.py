"""A chat that is open somewhere, shared by all the tabs that show it, and found again by its owner and id."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from weakref import WeakValueDictionary

from qwen_app.documents.attachment import Attachment
from qwen_app.live_answers import LiveAnswer, Snapshots
from qwen_app.saved_chats.saved_chats import SavedChats
from qwen_app.ui.conversations.choices import Choices
from qwen_app.ui.conversations.conversation import Conversation
from qwen_app.ui.conversations.saved_form import conversation_of
from qwen_app.ui.shared.stream import Progress

MOST_WAITING = 10  # messages that wait in one chat


@dataclass(frozen=True, slots=True)
class WaitingMessage:
    """A message typed while an answer was being written, with the settings it was sent with. ``in_parts`` says how its
    documents are read."""

    text: str
    choices: Choices
    user: str
    documents: tuple[Attachment, ...] = ()
    in_parts: bool = False
    id: str = field(default_factory=lambda: uuid.uuid4().hex)


@dataclass(frozen=True, slots=True)
class RefusedQuestion:
    """Why the last question could not be asked. The chat is as it was before it."""

    error: Exception
    question: str


@dataclass(slots=True, eq=False, weakref_slot=True)
class OpenChat:
    """The truth of a chat, of which tabs show pictures. Changed by the event loop alone.

    Without an ``owner`` it is saved nowhere. ``stored`` says that the database has it, ``not_saved`` is the text that
    says why it has not; ``live`` is the answer being written.
    """

    conversation: Conversation = field(default_factory=Conversation)
    owner: str = ""
    stored: bool = False
    not_saved: str = ""
    live: LiveAnswer[Progress] | None = None
    waiting: tuple[WaitingMessage, ...] = ()
    refusal: RefusedQuestion | None = None

    @property
    def address(self) -> str:
        """The id under which the owner finds the chat again; empty where it is not kept."""
        return self.conversation.id if self.owner and not self.not_saved else ""

    def go_live(self, snapshots: Snapshots[Progress], *, unwatched_s: float) -> LiveAnswer[Progress]:
        """The answer that is written from now on."""
        self.live = LiveAnswer(snapshots, unwatched_s=unwatched_s)
        return self.live


class OpenChats:
    """The chats that a tab shows or an answer is being written in. The others are in the database alone."""

    def __init__(self, saved: SavedChats) -> None:
        self._saved = saved
        self._open: WeakValueDictionary[tuple[str, str], OpenChat] = WeakValueDictionary()
        saved.when_gone(self._stop)

    def register(self, chat: OpenChat) -> None:
        """Let the owner's other tabs find the chat."""
        if chat.owner:
            self._open[chat.owner, chat.conversation.id] = chat

    def _stop(self, owner: str, chat_id: str | None) -> None:
        """End the answer in a chat that was deleted, or in all of the owner's: nobody sees them any more."""
        for (whose, name), chat in list(self._open.items()):
            if whose == owner and chat_id in (name, None) and chat.live is not None:
                chat.live.stop()

    async def find(self, owner: str, chat_id: str) -> OpenChat | None:
        """The owner's chat with this id; None where he has none."""
        if not owner or not chat_id:
            return None
        saved = await self._saved.run(self._saved.chats.load, owner, chat_id)
        known = self._open.get((owner, chat_id))
        if known is not None and (saved is not None or not known.stored):
            return known
        if saved is None:
            return None
        chat = OpenChat(conversation_of(saved), owner, stored=True)
        self.register(chat)
        return chat
