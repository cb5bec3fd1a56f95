from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from qwen_app.ui.conversations.conversation import (
    Conversation,
    answer,
    ask,
    ask_again,
    edit,
    hold,
    places_held,
    sendable,
    truncate,
    undo,
)
from qwen_app.ui.shared.run_line import Run


def chat(*questions: str) -> Conversation:
    conversation = Conversation()
    for question in questions:
        conversation = answer(ask(conversation, question), f"re: {question}", Run("stop"))
    return conversation


def test_asking_and_answering() -> None:
    open_turn = ask(chat("a"), "b", json_mode=True)
    assert (open_turn.last.question, open_turn.last.answer, open_turn.last.run) == ("b", "", None)
    assert open_turn.last.json_mode
    growing = answer(open_turn, "so far")
    assert (growing.last.answer, growing.last.run) == ("so far", None)
    assert [turn.question for turn in growing.turns] == ["a", "b"]


def test_an_id_is_given_once() -> None:
    conversation = chat("a", "b")
    assert conversation.id
    assert ask(conversation, "c").id == conversation.id
    assert chat("a").id != conversation.id


def test_editing_forgets_what_came_after() -> None:
    before = chat("a", "b", "c")
    edited = edit(before, before.turns[1], "B")
    assert [turn.question for turn in edited.turns] == ["a", "B"]
    assert edited.last.answer == ""


def test_undo_hands_the_question_back() -> None:
    conversation, question = undo(chat("a", "b"))
    assert (len(conversation.turns), question) == (1, "b")
    assert undo(Conversation()) == (Conversation(), "")


@given(st.integers(1, 12), st.integers(0, 12))
def test_what_is_cut_off_stays_in_the_tree(turns: int, cut: int) -> None:
    shorter = truncate(chat(*map(str, range(turns))), cut)
    assert len(shorter.turns) == min(cut, turns)
    assert len(shorter.others) == turns - len(shorter.turns)


def test_a_turn_is_held_whichever_of_its_answers_is_shown() -> None:
    conversation = hold(chat("a", "b"), 1, "pinned")
    again = answer(ask_again(conversation), "other", Run("stop"))
    assert [turn.hold for turn in again.turns] == ["auto", "pinned"]
    assert {turn.hold for turn in hold(again, 1, "dropped").others} == {"dropped"}


def test_places_count_only_what_may_be_sent() -> None:
    conversation = answer(ask(chat("a"), "b"), "", Run("failed"))
    conversation = hold(answer(ask(conversation, "c"), "C", Run("stop")), 2, "pinned")
    assert places_held(ask(conversation, "d"), "pinned") == {1}
    assert places_held(ask(conversation, "d"), "dropped") == frozenset()


def test_failed_answers_are_not_sent() -> None:
    conversation = answer(ask(chat("a"), "b"), "", Run("failed"))
    conversation = ask(conversation, "c")
    assert sendable(conversation) == [0, 2]
    assert [message.content for message in conversation.messages()] == ["a", "re: a", "c"]


def test_a_chat_nobody_has_said_anything_in() -> None:
    assert Conversation().messages() == []
