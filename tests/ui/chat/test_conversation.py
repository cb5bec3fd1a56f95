from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from qwen_app.ui.chat.conversation import Conversation, Run, answer, ask, edit, moved, truncate, undo


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
    edited = edit(chat("a", "b", "c"), 1, "B")
    assert [turn.question for turn in edited.turns] == ["a", "B"]
    assert edited.last.answer == ""


def test_undo_hands_the_question_back() -> None:
    conversation, question = undo(chat("a", "b"))
    assert (len(conversation.turns), question) == (1, "b")
    assert undo(Conversation()) == (Conversation(), "")


@given(st.integers(0, 12), st.integers(0, 12), st.integers(0, 12))
def test_the_window_never_starts_past_the_end(turns: int, start: int, cut: int) -> None:
    shorter = truncate(moved(chat(*map(str, range(turns))), start, 100), cut)
    assert len(shorter.turns) == min(cut, turns)
    assert 0 <= shorter.window_start <= max(0, len(shorter.turns) - 1)


def test_a_new_answer_is_counted_anew() -> None:
    assert answer(chat("a"), "other").last.tokens is None
