"""One chat as the page holds it: turns, and what editing does to them. Values in, values out."""

from __future__ import annotations

import dataclasses
import uuid
from dataclasses import dataclass

from qwen_app.messages import Message
from qwen_app.ui.shared.run_line import Run, run_of
from qwen_app.ui.shared.stream import Progress


@dataclass(frozen=True, slots=True)
class Turn:
    """A question and its answer. ``run`` is None while the answer is open."""

    question: str
    answer: str = ""
    json_mode: bool = False
    run: Run | None = None


@dataclass(frozen=True, slots=True)
class Conversation:
    """``window_start`` is the first turn that the last prompt held.

    ``id`` stays the same over all turns; a chat nobody has said anything in has none yet.
    """

    id: str = ""
    turns: tuple[Turn, ...] = ()
    window_start: int = 0

    @property
    def last(self) -> Turn:
        return self.turns[-1]

    def messages(self) -> list[Message]:
        """What a prompt may hold: all turns with an answer, and the last question, which waits for one."""
        messages = []
        for number in sendable(self):
            messages.append(Message("user", self.turns[number].question))
            messages.append(Message("assistant", self.turns[number].answer))
        return messages[:-1]


def sendable(conversation: Conversation) -> list[int]:
    """The turns that may be sent: not those whose answer failed before its first word, but always the last."""
    last = len(conversation.turns) - 1
    return [number for number, turn in enumerate(conversation.turns) if turn.answer or number == last]


def ask(conversation: Conversation, question: str, *, json_mode: bool = False) -> Conversation:
    """Add a turn that waits for its answer."""
    turns = (*conversation.turns, Turn(question, json_mode=json_mode))
    return dataclasses.replace(conversation, id=conversation.id or uuid.uuid4().hex, turns=turns)


def answer(conversation: Conversation, text: str, run: Run | None = None) -> Conversation:
    """Set the last turn's answer so far; ``run`` closes it."""
    turn = dataclasses.replace(conversation.last, answer=text, run=run)
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


def left_out(conversation: Conversation, turns: int) -> Conversation:
    """Remember that so many of the turns that may be sent, oldest first, were not."""
    start = sendable(conversation)[turns] if turns else 0
    return dataclasses.replace(conversation, window_start=start)


def written(conversation: Conversation, progress: Progress) -> Conversation:
    """With what has come of the last answer, and where the prompt for it began."""
    if progress.planned is not None:
        conversation = left_out(conversation, progress.planned.dropped_turns)
    return answer(conversation, progress.text, run_of(progress) if progress.over else None)


def closed(conversation: Conversation) -> Conversation:
    """With its last turn ended, where the answer was broken off."""
    if not conversation.turns or conversation.last.run is not None:
        return conversation
    return answer(conversation, conversation.last.answer, Run("cancelled"))
