from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwen_app.chat.window import TRIM_TO, Window, fit, split_turns
from qwen_app.messages import Message, ToolCall

roles = st.sampled_from(["system", "user", "assistant", "tool"])
conversations = st.lists(st.builds(Message, role=roles, content=st.text(max_size=8)), max_size=40)


def chat(turns: int) -> list[Message]:
    messages = [Message("system", "be brief")]
    for number in range(turns):
        messages += [Message("user", f"q{number}"), Message("assistant", f"a{number}")]
    return messages


@given(conversations)
def test_turns_join_to_the_conversation(messages: list[Message]) -> None:
    system, turns = split_turns(messages)
    assert [*system, *(message for turn in turns for message in turn)] == messages
    assert all(message.role == "system" for message in system)
    assert all(turn for turn in turns)
    assert all(turn[0].role == "user" for turn in turns[1:])


def test_tool_calls_stay_with_their_results() -> None:
    call = ToolCall("1", "weather", "{}")
    first = (
        Message("user", "weather?"),
        Message("assistant", "", (call,)),
        Message("tool", "sunny", tool_call_id="1"),
        Message("assistant", "It is sunny."),
    )
    assert split_turns([*first, Message("user", "thanks")])[1] == (first, (Message("user", "thanks"),))


@st.composite
def windows(draw: st.DrawFn) -> tuple[list[Message], list[int], dict[str, object]]:
    messages = draw(conversations)
    turns = len(split_turns(messages)[1])
    sizes = draw(st.lists(st.integers(1, 400), min_size=turns, max_size=turns))
    options = {
        "system_tokens": draw(st.integers(0, 300)),
        "budget_tokens": draw(st.integers(1, 4000)),
        "pins": draw(st.sets(st.integers(0, 39))),
        "drops": draw(st.sets(st.integers(0, 39))),
        "start": draw(st.integers(0, 45)),
    }
    return messages, sizes, options


@given(windows())
def test_what_must_stay_stays_and_nothing_is_lost(case: tuple[list[Message], list[int], dict[str, object]]) -> None:
    messages, sizes, options = case
    window = fit(messages, sizes, **options)  # type: ignore[arg-type]
    system, turns = split_turns(messages)
    pins = options["pins"]
    assert isinstance(pins, set)
    assert sorted((*window.kept_turns, *window.dropped_turns)) == list(range(len(turns)))
    assert set(window.kept_turns) >= {pin for pin in pins if pin < len(turns)}
    drops = options["drops"]
    assert isinstance(drops, set)
    assert set(window.dropped_turns) >= {drop for drop in drops - pins if drop < len(turns) - 1}
    assert not turns or window.kept_turns[-1] == len(turns) - 1
    assert window.kept == system + tuple(m for i in window.kept_turns for m in turns[i])
    assert window.dropped == tuple(m for i in window.dropped_turns for m in turns[i])
    assert window.tokens == options["system_tokens"] + sum(sizes[i] for i in window.kept_turns)


@given(windows())
def test_within_budget_or_nothing_more_to_give(case: tuple[list[Message], list[int], dict[str, object]]) -> None:
    messages, sizes, options = case
    window = fit(messages, sizes, **options)  # type: ignore[arg-type]
    pins = options["pins"]
    assert isinstance(pins, set)
    if not window.fits:
        assert set(window.kept_turns) <= pins | {len(sizes) - 1}


@given(windows())
def test_the_window_stands_still_once_it_fits(case: tuple[list[Message], list[int], dict[str, object]]) -> None:
    messages, sizes, options = case
    first = fit(messages, sizes, **options)  # type: ignore[arg-type]
    again = fit(messages, sizes, **{**options, "start": first.start})  # type: ignore[arg-type]
    if first.fits:
        assert again == first


def grow(turns: int, start: int) -> Window:
    return fit(chat(turns), [100] * turns, system_tokens=50, budget_tokens=1000, start=start)


def test_trims_to_a_part_of_the_budget_and_then_keeps_the_prefix() -> None:
    trimmed = grow(10, start=0)
    assert trimmed.tokens <= 1000 * TRIM_TO
    assert trimmed.start == 5
    assert [grow(turns, trimmed.start).start for turns in (11, 12, 13, 14)] == [5, 5, 5, 5]
    assert grow(15, trimmed.start).start == 10


def test_one_long_question_takes_no_more_than_half_of_what_it_leaves() -> None:
    sizes = [40] * 10 + [600]
    window = fit(chat(11), sizes, system_tokens=50, budget_tokens=1000)
    assert window.kept_turns == (6, 7, 8, 9, 10)


def test_what_is_pinned_takes_no_room_for_turns_to_come() -> None:
    sizes = [650, *[40] * 10]
    window = fit(chat(11), sizes, system_tokens=50, budget_tokens=1000, pins={0})
    assert window.kept_turns == (0, 7, 8, 9, 10)


def test_a_turn_left_out_by_hand_makes_room_for_the_others() -> None:
    window = fit(chat(10), [100] * 10, system_tokens=50, budget_tokens=1000, drops={4})
    assert window.dropped_turns == (4,)


def test_pinned_turns_stay_where_they_are() -> None:
    window = fit(chat(10), [100] * 10, system_tokens=50, budget_tokens=500, pins={1})
    assert window.kept_turns == (1, 8, 9)


def test_a_start_past_the_end_means_the_last_turn() -> None:
    assert grow(2, start=9).kept_turns == (1,)


def test_an_empty_conversation() -> None:
    window = fit([], [], system_tokens=0, budget_tokens=10)
    assert (window.kept, window.start, window.fits) == ((), 0, True)


def test_sizes_must_match() -> None:
    with pytest.raises(ValueError, match="2 turns need as many sizes"):
        fit(chat(2), [1], system_tokens=0, budget_tokens=10)
