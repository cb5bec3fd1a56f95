"""What is saved of a chat. Times are seconds since 1970, as ``time.time`` has them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

SavedRole = Literal["user", "assistant"]
MessageState = Literal["running", "done"]
TitleSource = Literal["question", "model", "user"]
Json = dict[str, object]

LIMIT_TITLE_CHARS = 120


@dataclass(frozen=True, slots=True)
class SavedMessage:
    """A node of the tree: an answer's parent is its question, a question's parent the answer before it, or none.

    ``settings`` are what the answer was asked for with, ``run`` how it came about; both as JSON. Of a question,
    ``settings`` say whether its turn is pinned or left out and which documents were sent with it, and ``run`` is
    empty. ``state`` ``running`` means that nobody has written its end yet.
    """

    id: str
    parent_id: str | None
    role: SavedRole
    content: str
    state: MessageState = "done"
    settings: Json = field(default_factory=dict)
    run: Json = field(default_factory=dict)
    created_at: float = 0.0


@dataclass(frozen=True, slots=True)
class ChatSummary:
    """A line of the list. ``titled_by`` says whose words the title is: a person's are never written over."""

    id: str
    title: str
    titled_by: TitleSource = "question"
    pinned: bool = False
    updated_at: float = 0.0


@dataclass(frozen=True, slots=True)
class SavedChat:
    """A whole chat, its messages in the order they were written. ``head_id`` is the last message of what is shown."""

    summary: ChatSummary
    messages: tuple[SavedMessage, ...]
    head_id: str | None = None

    def path(self, head_id: str | None = None) -> list[SavedMessage]:
        """The messages from the first to the head, or to the message named."""
        by_id = {message.id: message for message in self.messages}
        path: list[SavedMessage] = []
        step = by_id.get(head_id or self.head_id or "")
        while step is not None and len(path) <= len(by_id):  # a circle, which only a broken import could hold, ends
            path.append(step)
            step = by_id.get(step.parent_id or "")
        return path[::-1]


@dataclass(frozen=True, slots=True)
class SharedLink:
    """A read-only link to what a chat showed when it was shared, until ``expires_at``. The token itself is not kept."""

    id: str
    expires_at: float


@dataclass(frozen=True, slots=True)
class ChatLimits:
    """What one user may have saved, what all together, and how many days a chat is kept unused (0: for ever)."""

    chats: int = 1000
    bytes_per_user: int = 64 * 2**20
    bytes_in_all: int = 4 * 2**30
    days: int = 0
