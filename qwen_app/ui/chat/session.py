"""What the chat keeps for one browser tab."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from qwen_app.ui.chat.view import ShownChat, ShownReplay, first_recent
from qwen_app.ui.conversations.conversation import Conversation
from qwen_app.ui.conversations.open_chat import OpenChat
from qwen_app.ui.conversations.replay import Replay
from qwen_app.ui.documents.attaching import Attached
from qwen_app.ui.shared.handlers import InOrder, Newest, Updates
from qwen_app.ui.shared.strings import Language, Texts


@dataclass(frozen=True, slots=True, eq=False)
class Follower:
    """One event that draws the answers of ``chat`` in a browser tab, until a newer one does."""

    chat: OpenChat


@dataclass(slots=True)
class ChatSession:
    """One browser tab: the chat that it shows, and what is going on there."""

    chat: OpenChat = field(default_factory=OpenChat)  # while a replay runs, its picture
    language: Language = "en"
    follower: Follower | None = None  # draws the answers of a chat
    owner: str = ""  # whose chats the tab may show
    compared: dict[str, str] = field(default_factory=dict)  # the differences that are shown, by the later turns' ids
    attached: tuple[Attached, ...] = ()  # documents that wait in the composer
    sending: tuple[Attached, ...] = ()  # those of the question that is being asked
    uploader: str = ""  # whose documents they are
    replay: Replay | None = None
    unfolded: OpenChat | None = None  # the chat whose earlier turns are on the page too
    wishes: Newest = field(default_factory=Newest)  # to see another chat
    measurings: Newest = field(default_factory=Newest)  # of what the next request holds
    choosing: asyncio.Lock = field(default_factory=asyncio.Lock)  # documents' pages, one choice after the other
    in_order: InOrder[Updates] = field(default_factory=InOrder)  # how views reach the tab

    @property
    def texts(self) -> Texts:
        return Texts(self.language)

    @property
    def attached_tokens(self) -> int:
        """What the documents in the composer take in a prompt."""
        return sum(one.tokens for one in self.attached)

    @property
    def conversation(self) -> Conversation:
        return self.chat.conversation

    @property
    def first_turn(self) -> int:
        """Number of the first turn that is on the page."""
        return 0 if self.unfolded is self.chat else first_recent(len(self.conversation.turns))

    @property
    def busy(self) -> bool:
        """Whether an answer is being written, or seems to be, in the chat that is shown."""
        return self.chat.live is not None or self.replay is not None

    def stop(self) -> None:
        """End the answer in progress; what was written is kept."""
        if self.replay is not None:
            self.replay.stop()
        if self.chat.live is not None:
            self.chat.live.stop()


def shown_chat(session: ChatSession) -> ShownChat:
    """Which chat the tab shows, for the page's own scripts."""
    chat = session.chat
    waiting = tuple((message.id, message.text) for message in chat.waiting)
    now = session.replay
    replay = None if now is None else ShownReplay(now.paused, now.speed, now.timed)
    turns = session.conversation.turns
    last = f"{turns[-1].id} {'' if session.busy else len(turns[-1].answer)}" if turns else ""
    return ShownChat(chat.address, chat.temporary, session.busy, waiting, replay, session.first_turn, last)
