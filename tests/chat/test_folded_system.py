"""System text in the user's words: nothing is lost, and turns alternate as they did."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from qwen_app.chat.folded_system import with_system_folded
from qwen_app.messages import Message, Role

U, A, S = Message("user", "u"), Message("assistant", "a"), Message("system", "s")


def test_it_stands_where_it_was_said() -> None:
    assert with_system_folded([S, U, A, U]) == (Message("user", "s\n\nu"), A, U)
    assert with_system_folded([S, S, U]) == (Message("user", "s\n\ns\n\nu"),)
    assert with_system_folded([U, S, A]) == (Message("user", "u\n\ns"), A)
    assert with_system_folded([U, A, S]) == (U, A, Message("user", "s"))
    assert with_system_folded([S]) == (Message("user", "s"),)
    assert with_system_folded([Message("system", ""), U]) == (U,)


def test_turns_without_system_text_are_left_alone() -> None:
    assert with_system_folded([U, U, A, A]) == (U, U, A, A)


roles: st.SearchStrategy[list[Role]] = st.lists(st.sampled_from(["system", "user", "assistant", "tool"]))


@given(roles)
def test_no_text_is_lost_or_moved(said: list[Role]) -> None:
    messages = [Message(role, f"<{index}>") for index, role in enumerate(said)]
    folded = with_system_folded(messages)
    assert "".join(message.content for message in folded).replace("\n\n", "") == "".join(
        message.content for message in messages
    )
    assert all(message.role != "system" for message in folded)
    assert [message for message in folded if message.role not in ("system", "user")] == [
        message for message in messages if message.role not in ("system", "user")
    ]
