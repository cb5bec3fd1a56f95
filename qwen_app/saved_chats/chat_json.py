"""A whole chat as JSON, all its branches with it, and back again. What comes back is somebody's text: it is checked."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Sequence
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from qwen_app.errors import RequestError, TooLarge
from qwen_app.http.json_bounds import JsonBounds
from qwen_app.saved_chats.values import ChatSummary, Json, SavedChat, SavedMessage, SavedRole

FORMAT = "qwen-chat"
VERSION = 1
LIMIT_BYTES = 16 * 2**20
BOUNDS = JsonBounds(values=LIMIT_BYTES // 16, containers=LIMIT_BYTES // 32, texts=LIMIT_BYTES // 16)  # of that size
LIMIT_MESSAGES = 20_000  # each is a row, and chats are saved and read one at a time
LIMIT_LEVELS = 200  # of lists and objects within one another

NOT_OURS = "This file is no chat that was exported here as JSON."
TOO_LARGE = f"The file is over the limit of {LIMIT_BYTES // 2**20} MiB. Import a smaller chat."
TOO_MANY = f"The chat has more than {LIMIT_MESSAGES:,} messages. Import a smaller chat."


def _not_deep(value: Json) -> Json:
    """Whoever writes ``value`` again must not run out of stack. Raises ValueError."""
    level: list[object] = [value]
    for _ in range(LIMIT_LEVELS):
        level = [inner for one in level if isinstance(one, dict | list) for inner in _within(one)]
        if not level:
            return value
    raise ValueError("too many levels")


def _within(value: dict[str, object] | list[object]) -> Iterable[object]:
    return value.values() if isinstance(value, dict) else value


Shallow = Annotated[Json, AfterValidator(_not_deep)]


class _MessageFile(BaseModel):
    model_config = ConfigDict(extra="ignore")

    id: str = Field(min_length=1, max_length=64)
    parent_id: str | None = None
    role: SavedRole
    content: str
    settings: Shallow = {}
    run: Shallow = {}
    created_at: float = Field(0.0, ge=0, allow_inf_nan=False)


class _ChatFile(BaseModel):
    model_config = ConfigDict(extra="ignore")

    format: Literal["qwen-chat"]
    version: int = Field(ge=1, le=VERSION)
    title: str
    head_id: str | None = None
    messages: list[object] = Field(min_length=1)


def chat_json(chat: SavedChat) -> str:
    """The chat as text. Its id stays here: a copy is another chat."""
    written = [
        {
            "id": message.id,
            "parent_id": message.parent_id,
            "role": message.role,
            "content": message.content,
            "settings": message.settings,
            "run": message.run,
            "created_at": message.created_at,
        }
        for message in chat.messages
    ]
    head = {"format": FORMAT, "version": VERSION, "title": chat.summary.title, "head_id": chat.head_id}
    # Not indented: values deep within others would get a hundred times the text that they have.
    return json.dumps({**head, "messages": written}, ensure_ascii=False)


def read_chat(data: bytes) -> SavedChat:
    """The chat that ``chat_json`` wrote, under new ids. Raises TooLarge, and RequestError with a sentence for anything
    else."""
    if len(data) > LIMIT_BYTES:
        raise TooLarge(TOO_LARGE)
    if refusal := BOUNDS.refusal(data):
        raise RequestError(f"{NOT_OURS} {refusal}")
    try:
        found = _ChatFile.model_validate(_loaded(data))
        messages = [_MessageFile.model_validate(message) for message in found.messages]
    except (ValueError, RecursionError):
        raise RequestError(NOT_OURS) from None
    if len(messages) > LIMIT_MESSAGES:
        raise TooLarge(TOO_MANY)
    roles = _roles_in_order(messages)
    new = {old: uuid.uuid4().hex for old in roles}
    copies = tuple(
        SavedMessage(
            id=new[message.id],
            parent_id=None if message.parent_id is None else new[message.parent_id],
            role=message.role,
            content=message.content,
            settings=message.settings,
            run=message.run or ({"reason": "cancelled"} if message.role == "assistant" else {}),
            created_at=message.created_at,
        )
        for message in messages
    )
    head = found.head_id if found.head_id in roles else messages[-1].id
    return SavedChat(ChatSummary(uuid.uuid4().hex, found.title, "user"), copies, new[head or ""])


def _loaded(data: bytes) -> object:
    """The JSON value. Its objects are made by a function of Python's, so that other threads have their turn meanwhile:
    a reader in C holds the interpreter from the first byte to the last."""
    return json.loads(data.decode("utf-8-sig"), object_pairs_hook=lambda pairs: dict(pairs))


def _roles_in_order(messages: Sequence[_MessageFile]) -> dict[str, str]:
    """The role of every id. Raises RequestError unless parents come first and questions and answers take turns."""
    roles: dict[str, str] = {}
    for message in messages:
        parent = None if message.parent_id is None else roles.get(message.parent_id, "nobody")
        expected = ("user",) if message.role == "assistant" else (None, "assistant")
        if parent not in expected or message.id in roles:
            raise RequestError(NOT_OURS)
        roles[message.id] = message.role
    return roles
