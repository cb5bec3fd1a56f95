"""A whole chat as JSON, all its branches with it, and back again. What comes back is somebody's text: it is checked."""

from __future__ import annotations

import json
import uuid
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from qwen_app.errors import RequestError
from qwen_app.saved_chats.values import ChatSummary, Json, SavedChat, SavedMessage, SavedRole

FORMAT = "qwen-chat"
VERSION = 1
LIMIT_MESSAGES = 5_000

NOT_OURS = "This file is no chat that was exported here as JSON."


class _MessageFile(BaseModel):
    model_config = ConfigDict(extra="ignore")

    id: str = Field(min_length=1, max_length=64)
    parent_id: str | None = None
    role: SavedRole
    content: str
    settings: Json = {}
    run: Json = {}
    created_at: float = Field(0.0, ge=0, allow_inf_nan=False)


class _ChatFile(BaseModel):
    model_config = ConfigDict(extra="ignore")

    format: Literal["qwen-chat"]
    version: int = Field(ge=1, le=VERSION)
    title: str
    head_id: str | None = None
    messages: list[_MessageFile] = Field(min_length=1, max_length=LIMIT_MESSAGES)


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
    return json.dumps({**head, "messages": written}, ensure_ascii=False, indent=1)


def read_chat(data: bytes) -> SavedChat:
    """The chat that ``chat_json`` wrote, under new ids. Raises RequestError with a sentence for anything else."""
    try:
        found = _ChatFile.model_validate_json(data)
    except ValidationError:
        raise RequestError(NOT_OURS) from None
    roles = _roles_in_order(found)
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
        for message in found.messages
    )
    head = found.head_id if found.head_id in roles else found.messages[-1].id
    return SavedChat(ChatSummary(uuid.uuid4().hex, found.title, "user"), copies, new[head or ""])


def _roles_in_order(found: _ChatFile) -> dict[str, str]:
    """The role of every id. Raises RequestError unless parents come first and questions and answers take turns."""
    roles: dict[str, str] = {}
    for message in found.messages:
        parent = None if message.parent_id is None else roles.get(message.parent_id, "nobody")
        expected = ("user",) if message.role == "assistant" else (None, "assistant")
        if parent not in expected or message.id in roles:
            raise RequestError(NOT_OURS)
        roles[message.id] = message.role
    return roles
