"""The items of an answer of the responses endpoint: what a stream tells of them by events, and what it ends with."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.responses import ResponseStreamEvent
from pydantic import ConfigDict, TypeAdapter

from qwen_app.messages import Delta, Event, TokenLogprob, ToolCallDelta
from tests.api.scripts import LoggedEngine
from tests.api.sdk import events_of, sdk
from tests.api.serving import Api, running_api
from tests.examples import examples

TOOL = {"type": "function", "name": "weather", "parameters": {"type": "object", "properties": {}}, "strict": True}
ASKED: dict[str, Any] = {"model": "default", "input": "Hi", "tools": [TOOL], "top_logprobs": 1}
KINDS = {
    "message": ["output_item.added", "content_part.added", "output_text.done", "content_part.done", "output_item.done"],
    "function_call": ["output_item.added", "function_call_arguments.done", "output_item.done"],
}
DELTAS = {"message": "response.output_text.delta", "function_call": "response.function_call_arguments.delta"}


def token(text: str) -> TokenLogprob:
    return TokenLogprob(7, text, text.encode(), -0.5, (TokenLogprob(8, "other", b"other", -1.5),))


def said(*texts: str) -> Delta:
    """Text whose first tokens came before it, as those of half a character do."""
    return Delta("".join(texts), (7,), tuple(token(text) for text in texts))


def unsaid(text: str) -> Delta:
    """A token whose text is still to come, or that of a tag and never shown."""
    return Delta("", (7,), (token(text),))


def called(index: int, *arguments: str) -> list[Event]:
    """A call as engines tell it that have log-probabilities: with the tokens of its tags around it."""
    head: list[Event] = [unsaid("\n"), unsaid("<tool_call>"), ToolCallDelta(index, f"call_{index}", "weather")]
    pieces = [event for piece in arguments for event in (unsaid(piece), ToolCallDelta(index, arguments=piece))]
    return [*head, *pieces, unsaid("</tool_call>")]


def whole_and_stream(api: Api) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    whole = api.post("/v1/responses", ASKED)
    assert whole.status_code == 200, whole.text
    return whole.json(), events_of(api.post("/v1/responses", {**ASKED, "stream": True}))


def items_of(events: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """The events between the first two and the last, by their item."""
    for place, (_, group) in enumerate(itertools.groupby(events[2:-1], lambda event: event["output_index"])):
        found = list(group)
        assert {event["output_index"] for event in found} == {place}
        yield found


def check_item(events: list[dict[str, Any]], final: dict[str, Any]) -> None:
    """``events`` are those of one item, in the documented order, and tell what ``final`` holds."""
    first, last, kind = events[0]["item"], events[-1]["item"], final["type"]
    deltas = [event for event in events if event["type"] == DELTAS[kind]]
    assert [event["type"].removeprefix("response.") for event in events if event not in deltas] == KINDS[kind]
    opened = 2 if kind == "message" else 1
    assert events[opened : opened + len(deltas)] == deltas
    assert {event["item_id"] for event in events if "item_id" in event} == {final["id"]}
    assert (first["id"], first["status"], last) == (final["id"], "in_progress", final)
    text = "".join(event["delta"] for event in deltas)
    if kind == "function_call":
        assert (first["arguments"], text, events[-2]["arguments"]) == ("", final["arguments"], final["arguments"])
        return
    (part,) = final["content"]
    assert first["content"] == []
    assert (events[-2]["part"], events[-3]["text"], events[-3]["logprobs"]) == (part, part["text"], part["logprobs"])
    assert (text, [one for event in deltas for one in event["logprobs"]]) == (part["text"], part["logprobs"])


def plain(output: list[dict[str, Any]]) -> list[tuple[str, list[str]]]:
    """Of a message its text and the tokens of its log-probabilities, of a call its arguments."""
    return [
        (item["content"][0]["text"], [one["token"] for one in item["content"][0]["logprobs"]])
        if item["type"] == "message"
        else (item["arguments"], [])
        for item in output
    ]


words = st.lists(st.sampled_from(["a", "bc", " ", "\n", "好", "</tool_call>"]), min_size=1, max_size=4)
arguments = st.lists(st.sampled_from(['{"x"', ": 1", "}", "{}"]), max_size=3)
parts = st.lists(st.tuples(st.just("text"), words, st.booleans()) | st.tuples(st.just("call"), arguments), max_size=6)


def events_and_items(parts: list[Any]) -> tuple[list[Event], list[tuple[str, list[str]]]]:
    """The engine's events for ``parts``, and the items that they are. Texts that follow one another are one message."""
    events: list[Event] = []
    items: list[tuple[str, list[str]]] = []
    calls = 0
    for before, part in zip([None, *parts], parts, strict=False):
        if part[0] == "call":
            events += called(calls, *part[1])
            items.append(("".join(part[1]), []))
            calls += 1
            continue
        _, texts, late = part
        first = [unsaid(text) for text in texts[:-1]] if late else [said(text) for text in texts[:-1]]
        last = Delta("".join(texts), (7,), (token(texts[-1]),)) if late else said(texts[-1])
        events += [*first, last]
        if before is not None and before[0] == "text":
            text, tokens = items.pop()
            items.append((text + "".join(texts), tokens + texts))
        else:
            items.append(("".join(texts), list(texts)))
    return events, items or [("", [])]


@given(parts)
@settings(max_examples=examples(60))
def test_a_stream_tells_item_by_item_what_its_last_event_and_the_whole_answer_hold(parts: list[Any]) -> None:
    middle, expected = events_and_items(parts)
    with running_api(LoggedEngine(middle)) as api:
        whole, events = whole_and_stream(api)
    final = events[-1]["response"]["output"]
    assert plain(final) == plain(whole["output"]) == expected
    assert len({item["id"] for item in final}) == len(final)
    told = list(items_of(events))
    assert len(told) == len(final)
    for group, item in zip(told, final, strict=True):
        check_item(group, item)


@pytest.mark.parametrize(
    "middle",
    [
        [said("Let", " me"), *called(0, "{}"), said("\n", "Done"), said(".")],
        [*called(0, "{}"), said("So"), *called(1, '{"a"', ": 1}"), said("then")],
    ],
)
def test_the_sdk_follows_a_stream_whose_text_goes_on_after_a_call(middle: list[Event]) -> None:
    with (
        running_api(LoggedEngine(middle)) as api,
        sdk(api) as client,
        client.responses.stream(model="default", input="Hi", tools=[TOOL]) as stream,  # type: ignore[list-item]
    ):
        _, events = whole_and_stream(api)
        done = [event.item.to_dict() for event in stream if event.type == "response.output_item.done"]
        final = stream.get_final_response()
    assert [(item["type"], item["id"]) for item in done] == [(item.type, item.id) for item in final.output]
    adapter: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent, config=ConfigDict(strict=True))
    for event in events:
        adapter.validate_json(json.dumps(event), strict=True)
    assert final.output_text == "".join(event.text for event in middle if isinstance(event, Delta))


def test_a_text_that_cannot_be_told_from_the_call_before_has_the_tokens_it_came_with() -> None:
    with running_api(LoggedEngine([*called(0, "{}"), unsaid("}\nD"), said("one")])) as api:
        whole, _ = whole_and_stream(api)
    assert plain(whole["output"])[-1] == ("one", ["one"])


def test_tokens_that_came_after_the_last_word_are_told_before_the_end() -> None:
    with running_api(LoggedEngine([said("Hi"), unsaid("!")])) as api:
        whole, events = whole_and_stream(api)
    assert plain(whole["output"]) == plain(events[-1]["response"]["output"]) == [("Hi", ["Hi", "!"])]
    (group,) = items_of(events)
    check_item(group, events[-1]["response"]["output"][0])
