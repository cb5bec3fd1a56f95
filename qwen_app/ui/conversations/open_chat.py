"""A chat that is open somewhere, shared by all the tabs that show it, and found again by its owner and id."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass, field
from weakref import WeakValueDictionary

from qwen_app.documents.attachment import Attachment
from qwen_app.live_answers import LiveAnswer, Snapshots
from qwen_app.saved_chats.saved_chats import SavedChats
from qwen_app.ui.conversations.choices import Choices
from qwen_app.ui.conversations.conversation import Conversation, ask, edit, turn_named
from qwen_app.ui.conversations.saved_form import conversation_of
from qwen_app.ui.shared.stream import Progress

MOST_KEPT = 256  # chats that no tab shows, and in which a message waits
MOST_WAITING = 10  # messages that wait in one chat, and as many that came back


@dataclass(frozen=True, slots=True)
class TypedMessage:
    """What somebody typed to be asked, with the settings it was sent with. It waits while an answer is being written,
    and again where it cannot be asked. ``in_parts`` says how its documents are read; ``edits`` is the turn whose
    question it asks in other words, empty where it is a new one."""

    text: str
    choices: Choices
    user: str
    documents: tuple[Attachment, ...] = ()
    in_parts: bool = False
    edits: str = ""
    id: str = field(default_factory=lambda: uuid.uuid4().hex)

    def asked_in(self, conversation: Conversation) -> Conversation:
        """``conversation`` with this as its last question."""
        json_mode, edited = self.choices.json_mode, turn_named(conversation, self.edits)
        if edited is not None:
            return edit(conversation, edited, self.text, json_mode=json_mode)
        return ask(conversation, self.text, json_mode=json_mode, documents=self.documents, in_parts=self.in_parts)


@dataclass(frozen=True, slots=True)
class RefusedQuestion:
    """Why the last question could not be asked. The chat is as it was before it, and the ``message`` that it came from
    waits; a question that nobody typed has none."""

    error: Exception
    message: TypedMessage | None


@dataclass(slots=True, eq=False, weakref_slot=True)
class OpenChat:
    """The truth of a chat, of which tabs show pictures. Changed by the event loop alone.

    Without an ``owner`` it is saved nowhere, and a ``temporary`` one never has one. ``stored`` says that the database
    has it, ``not_saved`` is the text that says why it has not; it is written to by one at a time (``saving``). ``live``
    is the answer being written.
    """

    conversation: Conversation = field(default_factory=Conversation)
    owner: str = ""
    temporary: bool = False
    stored: bool = False
    not_saved: str = ""
    live: LiveAnswer[Progress] | None = None
    waiting: tuple[TypedMessage, ...] = ()
    refusal: RefusedQuestion | None = None
    saving: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def address(self) -> str:
        """The id under which the owner finds the chat again; empty where it is not kept."""
        return self.conversation.id if self.owner and not self.not_saved else ""

    def go_live(self, snapshots: Snapshots[Progress], *, unwatched_s: float) -> LiveAnswer[Progress]:
        """The answer that is written from now on."""
        self.live = LiveAnswer(snapshots, unwatched_s=unwatched_s)
        return self.live

    def wait_first(self, message: TypedMessage) -> None:
        """It is the next that is asked, or taken back."""
        self.waiting = (message, *self.waiting)[: 2 * MOST_WAITING]

    def waits(self, message_id: str) -> bool:
        """Whether there is such a waiting message."""
        return any(message.id == message_id for message in self.waiting)

    def take(self, message_id: str) -> TypedMessage | None:
        """The waiting message with this id, which waits no more."""
        taken = next((message for message in self.waiting if message.id == message_id), None)
        self.waiting = tuple(message for message in self.waiting if message is not taken)
        return taken

    def refuse(self, error: Exception, message: TypedMessage | None) -> None:
        """The last question cannot be asked; what was typed of it waits, so that nothing is lost."""
        self.refusal = RefusedQuestion(error, message)
        if message is not None:
            self.wait_first(message)


class OpenChats:
    """The chats that a tab shows, an answer is being written in, or a message waits in: the newest of these, for it is
    nowhere else. The others are in the database alone."""

    def __init__(self, saved: SavedChats) -> None:
        self._saved = saved
        self._open: WeakValueDictionary[tuple[str, str], OpenChat] = WeakValueDictionary()
        self._kept: list[OpenChat] = []
        saved.when_gone(self._stop)

    def register(self, chat: OpenChat) -> None:
        """Let the owner's other tabs find the chat."""
        if chat.owner:
            self._open[chat.owner, chat.conversation.id] = chat
            self.keep()

    def keep(self) -> None:
        """To be called before a tab shows another chat: what waits in the one it showed is found again."""
        at_work = [chat for chat in list(self._open.values()) if chat.waiting or chat.live is not None]
        self._kept = at_work[-MOST_KEPT:]

    def _stop(self, owner: str, chat_id: str | None) -> None:
        """End the answer in a chat that was deleted, or in all of the owner's: nobody sees them any more."""
        for (whose, name), chat in list(self._open.items()):
            if whose == owner and chat_id in (name, None) and chat.live is not None:
                chat.live.stop()

    async def find(self, owner: str, chat_id: str) -> OpenChat | None:
        """The owner's chat with this id; None where he has none."""
        if not owner or not chat_id:
            return None
        self.keep()
        saved = await self._saved.run(self._saved.chats.load, owner, chat_id)
        known = self._open.get((owner, chat_id))
        if known is not None and (saved is not None or not known.stored):
            return known
        if saved is None:
            return None
        chat = OpenChat(conversation_of(saved), owner, stored=True)
        self.register(chat)
        return chat
