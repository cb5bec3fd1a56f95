"""One chat as the page holds it: turns, and what editing does to them. Values in, values out."""

from __future__ import annotations

import dataclasses
import uuid
from dataclasses import dataclass
from typing import Literal

from qwen_app.messages import Message

EndReason = Literal["stop", "length", "tool_calls", "cancelled", "deadline", "failed"]


@dataclass(frozen=True, slots=True)
class Run:
    """How an answer came about. Speeds are tokens a second, times seconds; ``error_code`` is set when it failed."""

    reason: EndReason
    prompt_tokens: int = 0
    completion_tokens: int = 0
    reused_tokens: int = 0
    first_token_s: float = 0.0
    total_s: float = 0.0
    tokens_per_s: float = 0.0
    seed: int | None = None
    closed: bool = False
    error_code: str = ""
    error_text: str = ""


@dataclass(frozen=True, slots=True)
class Turn:
    """A question and its answer. ``tokens`` is their size in a prompt, None until counted; ``run`` None while open."""

    question: str
    answer: str = ""
    json_mode: bool = False
    run: Run | None = None
    tokens: int | None = None

    def messages(self) -> list[Message]:
        return [Message("user", self.question), Message("assistant", self.answer)]


@dataclass(frozen=True, slots=True)
class Conversation:
    """``window_start`` is the first turn still sent; it was chosen for a budget of ``window_tokens``.

    ``id`` stays the same over all turns; a chat nobody has said anything in has none yet.
    """

    id: str = ""
    turns: tuple[Turn, ...] = ()
    window_start: int = 0
    window_tokens: int = 0

    @property
    def last(self) -> Turn:
        return self.turns[-1]


def ask(conversation: Conversation, question: str, *, json_mode: bool = False) -> Conversation:
    """Add a turn that waits for its answer."""
    turns = (*conversation.turns, Turn(question, json_mode=json_mode))
    return dataclasses.replace(conversation, id=conversation.id or uuid.uuid4().hex, turns=turns)


def answer(conversation: Conversation, text: str, run: Run | None = None) -> Conversation:
    """Set the last turn's answer so far; ``run`` closes it."""
    turn = dataclasses.replace(conversation.last, answer=text, run=run, tokens=None)
    return dataclasses.replace(conversation, turns=(*conversation.turns[:-1], turn))


def truncate(conversation: Conversation, turn: int) -> Conversation:
    """The conversation as it was before ``turn`` was asked."""
    turns = conversation.turns[:turn]
    start = min(conversation.window_start, max(0, len(turns) - 1))
    return dataclasses.replace(conversation, turns=turns, window_start=start)


def edit(conversation: Conversation, turn: int, question: str, *, json_mode: bool = False) -> Conversation:
    """Ask ``turn`` again in other words. What came after it is gone."""
    return ask(truncate(conversation, turn), question, json_mode=json_mode)


def undo(conversation: Conversation) -> tuple[Conversation, str]:
    """Without the last turn, whose question is handed back."""
    if not conversation.turns:
        return conversation, ""
    return truncate(conversation, len(conversation.turns) - 1), conversation.last.question


def counted(conversation: Conversation, turn: int, tokens: int) -> Conversation:
    """Note the size of ``turn``."""
    turns = list(conversation.turns)
    turns[turn] = dataclasses.replace(turns[turn], tokens=tokens)
    return dataclasses.replace(conversation, turns=tuple(turns))


def moved(conversation: Conversation, start: int, budget_tokens: int) -> Conversation:
    """Remember where the window starts, and for which budget."""
    return dataclasses.replace(conversation, window_start=start, window_tokens=budget_tokens)
