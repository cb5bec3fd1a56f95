"""A conversation survives being saved, whatever was done to it."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwen_app.documents.attachment import Attachment
from qwen_app.documents.document import Document, Section
from qwen_app.saved_chats.values import Json, SavedChat
from qwen_app.ui.conversations.conversation import (
    Conversation,
    Turn,
    answer,
    ask,
    ask_again,
    edit,
    fork,
    switch,
    undo,
    variants,
)
from qwen_app.ui.conversations.saved_form import conversation_of, saved_turns
from qwen_app.ui.shared.run_line import Run

STEPS = st.lists(st.tuples(st.sampled_from(["ask", "again", "edit", "undo", "switch"]), st.integers(0, 5)), max_size=12)


def after(steps: list[tuple[str, int]]) -> Conversation:
    """A chat that was asked, asked again, edited, undone and leafed through."""
    chat = Conversation()
    for number, (step, turn) in enumerate([("ask", 0), *steps]):
        place = min(turn, len(chat.turns) - 1)
        if step == "ask" or not chat.turns:
            chat = answer(ask(chat, f"q{number}"), f"a{number}", Run("stop", seed=number))
        elif step == "again":
            chat = answer(ask_again(chat), f"a{number}", Run("length"))
        elif step == "edit":
            chat = answer(edit(chat, chat.turns[place], f"q{number}"), f"a{number}", Run("stop"))
        elif step == "undo":
            chat, _ = undo(chat)
        else:
            chat = switch(chat, place, 1 if turn % 2 else -1)
    return chat


def everything(chat: Conversation) -> list[Turn]:
    return sorted((*chat.turns, *chat.others), key=lambda turn: turn.order)


@given(STEPS)
def test_saved_and_read_it_is_the_same(steps: list[tuple[str, int]]) -> None:
    chat = after(steps)
    form = saved_turns(chat, *everything(chat))
    found = conversation_of(once_each(form))
    kept = [(turn.id, turn.question, turn.answer, turn.run, turn.parent_id) for turn in everything(chat)]
    assert [(turn.id, turn.question, turn.answer, turn.run, turn.parent_id) for turn in everything(found)] == kept
    assert [turn.id for turn in found.turns] == [turn.id for turn in chat.turns]


def once_each(form: SavedChat) -> SavedChat:
    """As the database keeps it: two answers of one question have it once."""
    return dataclasses.replace(form, messages=tuple({message.id: message for message in form.messages}.values()))


@given(STEPS)
def test_nothing_is_ever_lost_and_every_turn_is_shown_or_a_variant(steps: list[tuple[str, int]]) -> None:
    chat = after(steps)
    turns = everything(chat)
    assert [turn.order for turn in turns] == list(range(len(turns)))
    for place, turn in enumerate(chat.turns):
        beside = variants(chat, place)
        assert turn in beside
        assert {other.parent_id for other in beside} == {turn.parent_id}
        there = beside.index(turn)
        moved = switch(chat, place, 1)
        expected = beside[min(there + 1, len(beside) - 1)]
        assert moved.turns[place].id == expected.id
        assert everything(moved) == turns


@given(STEPS, st.integers(0, 5))
def test_a_fork_has_nothing_in_common_but_the_words(steps: list[tuple[str, int]], turn: int) -> None:
    chat = after(steps)
    forked = fork(chat, turn)
    assert [t.answer for t in forked.turns] == [t.answer for t in chat.turns[: turn + 1]]
    assert {t.id for t in forked.turns}.isdisjoint(t.id for t in everything(chat))
    assert forked.others == ()


@pytest.mark.parametrize(
    "run", [{}, {"reason": "nonsense"}, {"reason": "stop", "total_s": "soon"}, {"reason": ["stop"]}]
)
def test_a_run_that_is_none_is_an_answer_that_was_stopped(run: Json) -> None:
    chat = answer(ask(Conversation(), "q"), "a", Run("stop"))
    form = saved_turns(chat, *chat.turns)
    question, reply = form.messages
    odd = dataclasses.replace(form, messages=(question, dataclasses.replace(reply, run=run)))
    assert conversation_of(odd).last.run == Run("cancelled")


def test_a_run_of_a_later_version_keeps_what_this_one_knows() -> None:
    chat = answer(ask(Conversation(), "q"), "a", Run("stop", seed=7))
    question, reply = saved_turns(chat, *chat.turns).messages
    later = dataclasses.replace(reply, run={**reply.run, "carbon_g": 3})
    found = conversation_of(SavedChat(saved_turns(chat).summary, (question, later), reply.id))
    assert found.last.run == Run("stop", seed=7)


def test_documents_are_saved_with_their_question() -> None:
    document = Document("a.pdf", "pdf", (Section("page", 1, 1, "text"),))
    asked = answer(ask(Conversation(), "q", documents=(Attachment(document, 3),)), "a", Run("stop"))
    found = conversation_of(saved_turns(ask_again(asked), *asked.turns))
    assert everything(found)[0].documents == (Attachment(document, 3),)
    assert "[page 1]\ntext" in asked.messages()[0].content
