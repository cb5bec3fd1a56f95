"""One chat as the page holds it: a tree of turns, one path of which is shown, and what editing does to it.

Values in, values out. Nothing is ever taken away: what leaves the path stays in the tree, as a variant of its turn.
"""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from qwen_app.documents.attachment import Attachment, with_documents
from qwen_app.messages import Message
from qwen_app.summaries.prompts import with_notes
from qwen_app.summaries.values import DocumentSummary
from qwen_app.ui.shared.run_line import Run

Hold = Literal["auto", "pinned", "dropped"]  # whether a turn is sent: as there is room, always, never
HOLDS: tuple[Hold, ...] = ("auto", "pinned", "dropped")  # as the page's buttons number them


@dataclass(frozen=True, slots=True)
class Turn:
    """A question and its answer. ``run`` is None while the answer is open.

    ``parent_id`` is the turn before it (empty: none); turns with one parent are variants of each other, and those with
    one ``question_id`` answer the same question. ``order`` counts the chat's turns as they were asked. ``settings`` are
    what the answer was asked for with, ``hold`` what the visitor said of sending the turn again. ``documents`` belong
    to the question; where they are read in parts, a prompt has the notes of ``summary`` in their place.
    """

    question: str
    answer: str = ""
    json_mode: bool = False
    run: Run | None = None
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    question_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    parent_id: str = ""
    order: int = 0
    settings: Mapping[str, object] = field(default_factory=dict)
    hold: Hold = "auto"
    documents: tuple[Attachment, ...] = ()
    summary: DocumentSummary | None = None

    @property
    def prompt_text(self) -> str:
        """The question as a model gets it."""
        if self.summary is not None:
            return with_notes(self.question, self.summary.joined)
        return with_documents(self.question, self.documents)


@dataclass(frozen=True, slots=True)
class Conversation:
    """``turns`` is the path that is shown, ``others`` are the turns beside it.

    ``id`` stays the same over all turns; a chat nobody has said anything in has none yet.
    """

    id: str = ""
    turns: tuple[Turn, ...] = ()
    others: tuple[Turn, ...] = ()

    @property
    def last(self) -> Turn:
        return self.turns[-1]

    def messages(self) -> list[Message]:
        """What a prompt may hold: all turns with an answer, and the last question, with what its answer begins with."""
        messages = []
        for number in sendable(self):
            messages.append(Message("user", self.turns[number].prompt_text))
            messages.append(Message("assistant", self.turns[number].answer))
        return messages if self.turns and self.last.answer else messages[:-1]


def sendable(conversation: Conversation) -> list[int]:
    """The turns that may be sent: not those whose answer failed before its first word, but always the last."""
    last = len(conversation.turns) - 1
    return [number for number, turn in enumerate(conversation.turns) if turn.answer or number == last]


def with_documents_sent(conversation: Conversation) -> frozenset[int]:
    """Which of the turns that may be sent hold documents, counted as ``messages`` has them."""
    return frozenset(n for n, number in enumerate(sendable(conversation)) if conversation.turns[number].documents)


def ask(
    conversation: Conversation,
    question: str,
    *,
    json_mode: bool = False,
    documents: tuple[Attachment, ...] = (),
    in_parts: bool = False,
) -> Conversation:
    """Add a turn that waits for its answer. ``in_parts`` says how its documents are read."""
    summary = DocumentSummary() if in_parts else None
    place = conversation.last.id if conversation.turns else ""
    order = len(conversation.turns) + len(conversation.others)
    turn = Turn(question, json_mode=json_mode, parent_id=place, order=order, documents=documents, summary=summary)
    turns = (*conversation.turns, turn)
    return dataclasses.replace(conversation, id=conversation.id or uuid.uuid4().hex, turns=turns)


def ask_again(conversation: Conversation, *, json_mode: bool = False) -> Conversation:
    """Add another turn with the last question, and what was noted for it. The answer there was becomes a variant."""
    last, rest = conversation.last, truncate(conversation, len(conversation.turns) - 1)
    with_question = ask(rest, last.question, json_mode=json_mode, documents=last.documents)
    turn = dataclasses.replace(with_question.last, question_id=last.question_id, hold=last.hold, summary=last.summary)
    return dataclasses.replace(with_question, turns=(*with_question.turns[:-1], turn))


def begun(conversation: Conversation, start: str) -> Conversation:
    """With the beginning of the last answer, from where the model goes on. An answer that has one keeps it."""
    turn = dataclasses.replace(conversation.last, answer=conversation.last.answer or start)
    return dataclasses.replace(conversation, turns=(*conversation.turns[:-1], turn))


def go_on(conversation: Conversation) -> Conversation:
    """Open the last answer again. Where something was said after it, off the path, that keeps the answer it knew."""
    last = conversation.last
    if any(other.parent_id == last.id for other in conversation.others):
        return begun(ask_again(conversation, json_mode=last.json_mode), last.answer)
    turn = dataclasses.replace(last, run=None)
    return dataclasses.replace(conversation, turns=(*conversation.turns[:-1], turn))


def answer(conversation: Conversation, text: str, run: Run | None = None, turn_id: str = "") -> Conversation:
    """Set the answer so far of the turn named, or of the last; ``run`` closes it."""
    wanted = turn_id or conversation.last.id
    return _with_turns(
        conversation, lambda turn: dataclasses.replace(turn, answer=text, run=run) if turn.id == wanted else turn
    )


def with_summary(conversation: Conversation, summary: DocumentSummary, turn_id: str) -> Conversation:
    """Set what was noted of the documents of the turn named."""
    return _with_turns(
        conversation, lambda turn: dataclasses.replace(turn, summary=summary) if turn.id == turn_id else turn
    )


def turn_named(conversation: Conversation, turn_id: str) -> Turn | None:
    """The turn with this id, on the path or beside it."""
    everything = (*conversation.turns, *conversation.others)
    return next((turn for turn in everything if turn.id == turn_id), None)


def truncate(conversation: Conversation, turn: int) -> Conversation:
    """The path as it was before ``turn`` was asked."""
    turns = conversation.turns[:turn]
    others = (*conversation.others, *conversation.turns[turn:])
    return dataclasses.replace(conversation, turns=turns, others=others)


def variants(conversation: Conversation, turn: int) -> list[Turn]:
    """All that was asked or answered in the place of ``turn``, itself among them, in the order it was asked."""
    parent_id = conversation.turns[turn].parent_id
    beside = [other for other in conversation.others if other.parent_id == parent_id]
    return sorted([*beside, conversation.turns[turn]], key=lambda other: other.order)


def switch(conversation: Conversation, turn: int, step: int) -> Conversation:
    """Show the variant ``step`` places on, with what was last said after it. Past either end nothing changes."""
    places = variants(conversation, turn)
    to = places.index(conversation.turns[turn]) + step
    if not 0 <= to < len(places):
        return conversation
    return path_to(conversation, latest_below(conversation, places[to]).id)


def latest_below(conversation: Conversation, turn: Turn) -> Turn:
    """The end of the path through ``turn`` that was last added to."""
    everything = (*conversation.turns, *conversation.others)
    while below := [other for other in everything if other.parent_id == turn.id]:
        turn = max(below, key=lambda other: other.order)
    return turn


def path_to(conversation: Conversation, turn_id: str) -> Conversation:
    """The same tree with the path that ends in this turn; an id that is none shows nothing."""
    everything = {turn.id: turn for turn in (*conversation.turns, *conversation.others)}
    path: list[Turn] = []
    step = everything.get(turn_id)
    while step is not None:
        path.append(everything.pop(step.id))
        step = everything.get(step.parent_id)
    return dataclasses.replace(conversation, turns=tuple(path[::-1]), others=tuple(everything.values()))


def fork(conversation: Conversation, turn: int) -> Conversation:
    """Another chat that begins with the path up to ``turn``, itself included."""
    turns: list[Turn] = []
    for order, old in enumerate(conversation.turns[: turn + 1]):
        before = turns[-1].id if turns else ""
        new_id, new_question_id = uuid.uuid4().hex, uuid.uuid4().hex
        turns.append(dataclasses.replace(old, id=new_id, question_id=new_question_id, parent_id=before, order=order))
    return closed(Conversation(uuid.uuid4().hex, tuple(turns)))


def edit(conversation: Conversation, turn: Turn, question: str, *, json_mode: bool = False) -> Conversation:
    """Ask ``turn`` in other words. What there was of it, and after it, becomes a variant, also where another variant is
    shown by now."""
    place = path_to(conversation, turn.parent_id)
    in_parts = turn.summary is not None
    return ask(place, question, json_mode=json_mode, documents=turn.documents, in_parts=in_parts)


def undo(conversation: Conversation) -> tuple[Conversation, str]:
    """Without the last turn, whose question is handed back."""
    if not conversation.turns:
        return conversation, ""
    return truncate(conversation, len(conversation.turns) - 1), conversation.last.question


def hold(conversation: Conversation, turn: int, wanted: Hold) -> Conversation:
    """Pin a turn, leave it out, or neither. It is said of the question, and holds for all of its answers."""
    question_id = conversation.turns[turn].question_id
    return _with_turns(
        conversation, lambda each: dataclasses.replace(each, hold=wanted) if each.question_id == question_id else each
    )


def held_as(conversation: Conversation, other: Conversation) -> Conversation:
    """With its turns held as they are in ``other``."""
    holds = {turn.question_id: turn.hold for turn in (*other.turns, *other.others)}
    return _with_turns(
        conversation, lambda each: dataclasses.replace(each, hold=holds.get(each.question_id, each.hold))
    )


def places_held(conversation: Conversation, wanted: Hold) -> frozenset[int]:
    """The turns that are held so, by their places in a prompt."""
    turns = conversation.turns
    return frozenset(place for place, number in enumerate(sendable(conversation)) if turns[number].hold == wanted)


def run_before(conversation: Conversation, turn: int) -> Turn | None:
    """The answer to the same question that was written before this one."""
    shown = conversation.turns[turn]
    earlier = [
        other
        for other in variants(conversation, turn)
        if other.question_id == shown.question_id and other.order < shown.order
    ]
    return earlier[-1] if earlier else None


def closed(conversation: Conversation) -> Conversation:
    """With its last turn ended, where the answer was broken off."""
    if not conversation.turns or conversation.last.run is not None:
        return conversation
    return answer(conversation, conversation.last.answer, Run("cancelled"))


def _with_turns(conversation: Conversation, changed: Callable[[Turn], Turn]) -> Conversation:
    """With each turn ``changed``, on the path and beside it."""
    turns, others = tuple(map(changed, conversation.turns)), tuple(map(changed, conversation.others))
    return dataclasses.replace(conversation, turns=turns, others=others)
