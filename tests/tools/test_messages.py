from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwen_app.errors import RequestError
from qwen_app.messages import Message, ToolCall
from qwen_app.tools.messages import parsed_arguments, results_in_call_order, shown_arguments, with_short_ids

USER = Message("user", "?")


def asked(*ids: str) -> Message:
    return Message("assistant", "", tuple(ToolCall(call_id, "f", "{}") for call_id in ids))


def result(call_id: str | None) -> Message:
    return Message("tool", f"result of {call_id}", tool_call_id=call_id)


@given(st.permutations(["a", "b", "c"]))
def test_results_are_put_in_the_order_of_the_calls(order: list[str]) -> None:
    """The template prints no ids: a model tells results apart by their order alone."""
    messages = results_in_call_order([USER, asked("a", "b", "c"), *map(result, order), USER])
    assert messages == (USER, asked("a", "b", "c"), result("a"), result("b"), result("c"), USER)


def test_ids_may_come_back_in_a_later_round() -> None:
    conversation = (USER, asked("a"), result("a"), asked("a"), result("a"))
    assert results_in_call_order(conversation) == conversation


def test_short_ids_are_those_of_the_same_calls_every_time() -> None:
    conversation = (USER, asked("call_a", "call_b"), result("call_a"), result("call_b"), asked("call_a"))
    short = with_short_ids(conversation)
    ids = [call.id for message in short for call in message.tool_calls]
    assert ids == [short[2].tool_call_id, short[3].tool_call_id, ids[0]]
    assert ids[0] != ids[1]
    assert all(len(call_id) == 9 and call_id.isalnum() for call_id in ids)
    assert short == with_short_ids(conversation)
    assert [message.content for message in short] == [message.content for message in conversation]


def refusal(*messages: Message) -> str | None:
    with pytest.raises(RequestError) as refused:
        results_in_call_order(messages)
    return refused.value.param


def test_unmatched_results_are_refused() -> None:
    assert refusal(USER, result("a")) == "messages[1].tool_call_id"
    assert refusal(USER, asked("a"), result("b")) == "messages[2].tool_call_id"
    assert refusal(USER, asked("a"), result("a"), USER, result("a")) == "messages[4].tool_call_id"
    assert refusal(asked("a"), result(None)) == "messages[1].tool_call_id"


def test_a_round_is_answered_once_and_whole_or_not_at_all() -> None:
    assert refusal(asked("a"), result("a"), result("a")) == "messages[2].tool_call_id"
    assert refusal(USER, asked("a", "b"), result("b")) == "messages[1].tool_calls"
    assert results_in_call_order([asked("a", "b"), USER]) == (asked("a", "b"), USER)
    assert refusal(asked("a", "a")) == "messages[0].tool_calls"


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [("", {}), ("null", {}), ('{"city": "Par', '{"city": "Par'), ("[1]", [1]), ("3", 3), ('"{}"', "{}")],
)
def test_arguments_in_the_history_may_be_any_text(arguments: str, shown: object) -> None:
    """Nothing can be called with them, and what was said was said."""
    call = ToolCall("a", "f", arguments)
    assert parsed_arguments(call) is None
    assert shown_arguments(call) == shown
    message = Message("assistant", "", (call,))
    assert results_in_call_order([message]) == (message,)


def test_a_place_is_called_as_the_body_calls_it() -> None:
    with pytest.raises(RequestError) as refused:
        results_in_call_order([USER, result("a")], [("", ""), ("input[4]", "input[4].call_id")])
    assert refused.value.param == "input[4].call_id"


def test_only_assistants_call() -> None:
    assert refusal(Message("user", "", (ToolCall("a", "f", "{}"),))) == "messages[0].tool_calls"


@pytest.mark.parametrize(
    ("arguments", "parsed"),
    [
        ('{"x": "\\ud83d"}', {"x": "\ufffd"}),
        ('{"x": 1.5}', {"x": 1.5}),
        ('{"x": NaN}', None),
        ('{"x": 1e999}', None),
        ("[1]", None),
        ('{"x": ', None),
    ],
)
def test_arguments_are_what_json_and_utf_8_can_say(arguments: str, parsed: object) -> None:
    assert parsed_arguments(ToolCall("a", "f", arguments)) == parsed
