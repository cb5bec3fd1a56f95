"""A conversation as it is saved, and back: a turn is two messages, its question and its answer below it."""

from __future__ import annotations

import dataclasses

from pydantic import TypeAdapter, ValidationError

from qwen_app.documents.attachment import attachments_json, read_attachments_json
from qwen_app.saved_chats.values import ChatSummary, Json, SavedChat, SavedMessage
from qwen_app.summaries.values import read_summary_json, summary_json
from qwen_app.ui.conversations.conversation import Conversation, Hold, Turn, path_to
from qwen_app.ui.shared.run_line import Run

TITLE_CHARS = 60  # of a question, until a better title is found
HOLD = "hold"  # a question's setting, where the visitor said whether it is sent again
DOCUMENTS = "documents"  # in the settings of a question
SUMMARY = "summary"  # in those of an answer, where the documents were read in parts
_RUN = TypeAdapter(Run)
_RUN_FIELDS = {field.name for field in dataclasses.fields(Run)}


def saved_turns(conversation: Conversation, *turns: Turn) -> SavedChat:
    """``turns`` of the chat, and which of its turns is shown last."""
    messages = tuple(message for turn in turns for message in _messages(turn))
    head = conversation.last.id if conversation.turns else None
    return SavedChat(ChatSummary(conversation.id, _title(conversation)), messages, head)


def conversation_of(chat: SavedChat) -> Conversation:
    """The chat as the page holds it. An answer that nobody is writing any more was interrupted."""
    by_id = {message.id: message for message in chat.messages}
    answers = [message for message in chat.messages if message.role == "assistant"]
    turns = tuple(
        _turn(by_id[answer.parent_id or ""], answer, order)
        for order, answer in enumerate(answers)
        if answer.parent_id in by_id
    )
    return path_to(Conversation(chat.summary.id, others=turns), chat.head_id or "")


def _messages(turn: Turn) -> tuple[SavedMessage, SavedMessage]:
    held: Json = {} if turn.hold == "auto" else {HOLD: turn.hold}
    documents: Json = {DOCUMENTS: attachments_json(turn.documents)} if turn.documents else {}
    noted: Json = {SUMMARY: summary_json(turn.summary)} if turn.summary is not None else {}
    turn_settings = held | documents
    question = SavedMessage(turn.question_id, turn.parent_id or None, "user", turn.question, settings=turn_settings)
    answer = SavedMessage(
        id=turn.id,
        parent_id=turn.question_id,
        role="assistant",
        content=turn.answer,
        state="running" if turn.run is None else "done",
        settings={**turn.settings, "json_mode": turn.json_mode, **noted},
        run={} if turn.run is None else dataclasses.asdict(turn.run),
    )
    return question, answer


def _turn(question: SavedMessage, answer: SavedMessage, order: int) -> Turn:
    return Turn(
        question=question.content,
        answer=answer.content,
        json_mode=answer.settings.get("json_mode") is True,
        run=Run("interrupted") if answer.state == "running" else _run(answer.run),
        id=answer.id,
        question_id=question.id,
        parent_id=question.parent_id or "",
        order=order,
        settings={name: value for name, value in answer.settings.items() if name != SUMMARY},
        hold=_hold(question.settings.get(HOLD)),
        documents=read_attachments_json(question.settings.get(DOCUMENTS, ())),
        summary=read_summary_json(answer.settings[SUMMARY]) if SUMMARY in answer.settings else None,
    )


def _hold(saved: object) -> Hold:
    return saved if saved == "pinned" or saved == "dropped" else "auto"


def _run(saved: Json) -> Run:
    """The run as it was written, by this version or another; what is no run says that the answer was stopped."""
    try:
        return _RUN.validate_python({name: value for name, value in saved.items() if name in _RUN_FIELDS})
    except ValidationError:
        return Run("cancelled")


def _title(conversation: Conversation) -> str:
    first = conversation.turns[0].question if conversation.turns else ""
    line = " ".join(first.split())
    return line if len(line) <= TITLE_CHARS else line[: TITLE_CHARS - 1].rstrip() + "…"
