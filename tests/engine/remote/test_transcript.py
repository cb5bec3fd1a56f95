"""Calls in a server's chunks, however late, cut up and mixed with one another and with text the server sends them."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwen_app.engine.remote.connection.chunk import read_chunk
from qwen_app.engine.remote.response_checks import NO_ROOM_FOR_ANSWER
from qwen_app.engine.remote.transcript import Transcript, transcript_of
from qwen_app.errors import UpstreamError
from qwen_app.messages import Delta, Event, Failed, Finished, JsonSchema, SamplingParams, Thought, Tool, ToolCallDelta
from tests.engine.contract import ask, check_shape, collect, text_of
from tests.engine.remote.engines import CHAT, engine_with_chat, says
from tests.engine.remote.vllm_like import piece

NAMES = ("get", "get_time", "set", "time")
TOOLS = tuple(Tool(name) for name in NAMES)


@dataclass(frozen=True)
class Part:
    """One entry of ``tool_calls``; what is empty is left out."""

    index: int | None = None
    id: str = ""
    name: str = ""
    arguments: str = ""

    def body(self) -> dict[str, Any]:
        function = {key: value for key, value in (("name", self.name), ("arguments", self.arguments)) if value}
        body: dict[str, Any] = {"function": function} | ({"id": self.id} if self.id else {})
        return body | ({} if self.index is None else {"index": self.index})


def chunk_of(part: Part | str) -> dict[str, Any]:
    return piece(part) if isinstance(part, str) else piece("", delta={"tool_calls": [part.body()]})


def told(transcript: Transcript, parts: Sequence[Part | str], finish: str = "tool_calls") -> list[Event]:
    chunks = [*map(chunk_of, parts), piece("", finish=finish)]
    events = [event for chunk in chunks for event in transcript.feed(read_chunk(chunk))]
    return [*events, *transcript.rest_of_turns(cut=finish == "length")]


def calls_in(events: Sequence[Event]) -> list[tuple[str, str, str]]:
    """Id, name and arguments of each call, which has to be told in one go, after what has a lower index."""
    deltas = [event for event in events if isinstance(event, Delta | ToolCallDelta)]
    groups = [
        list(group)
        for index, group in itertools.groupby(
            deltas, lambda event: event.index if isinstance(event, ToolCallDelta) else None
        )
        if index is not None
    ]
    calls = [[event for event in group if isinstance(event, ToolCallDelta)] for group in groups]
    assert [call[0].index for call in calls] == list(range(len(calls)))
    assert not any(event.id or event.name for call in calls for event in call[1:])
    return [(call[0].id or "", call[0].name or "", "".join(event.arguments for event in call)) for call in calls]


WAYS: dict[str, tuple[list[Part | str], list[tuple[str, str]]]] = {
    "the name after index and id": (
        [Part(0, "a"), Part(0, name="set"), Part(0, arguments='{"x": 1}')],
        [("set", '{"x": 1}')],
    ),
    "the arguments before the name": (
        [Part(0, "a", arguments='{"x"'), Part(0, arguments=": 1}"), Part(0, name="set")],
        [("set", '{"x": 1}')],
    ),
    "the name in pieces": (
        [Part(0, "a", "ge"), Part(0, name="t_ti"), Part(0, name="me", arguments="{}")],
        [("get_time", "{}")],
    ),
    "the name with every piece": (
        [Part(0, "a", "get"), Part(0, "a", "get", "{"), Part(0, "a", "get", "}")],
        [("get", "{}")],
    ),
    "all of the name so far": (
        [Part(0, "a", "ge"), Part(0, "a", "get_time"), Part(0, arguments="{}")],
        [("get_time", "{}")],
    ),
    "a name nobody offered, in pieces": (
        [Part(0, "a", "re"), Part(0, name="move", arguments="{}")],
        [("remove", "{}")],
    ),
    "no arguments at all": ([Part(0, "a"), Part(0, name="time")], [("time", "{}")]),
    "names after both ids": (
        [Part(0, "a"), Part(1, "b"), Part(1, name="time", arguments="{}"), Part(0, name="set", arguments='{"x": 1}')],
        [("set", '{"x": 1}'), ("time", "{}")],
    ),
    "neither index nor id": (
        [
            Part(name="set", arguments='{"x": 1}'),
            Part(name="set", arguments='{"x": 2}'),
            Part(name="time", arguments="{}"),
        ],
        [("set", '{"x": 1}'), ("set", '{"x": 2}'), ("time", "{}")],
    ),
    "one index for all and no id": (
        [Part(0, name="set", arguments='{"x": 1}'), Part(0, name="time"), Part(0, arguments="{}")],
        [("set", '{"x": 1}'), ("time", "{}")],
    ),
    "one index and one id for all": (
        [Part(0, "x", "set", '{"x": 1}'), Part(0, "x", "set", '{"x": 2}'), Part(0, "x", "time", "{}")],
        [("set", '{"x": 1}'), ("set", '{"x": 2}'), ("time", "{}")],
    ),
    "one id for all": (
        [Part(0, "x", "set", '{"x": 1}'), Part(1, "x", "time", "{}")],
        [("set", '{"x": 1}'), ("time", "{}")],
    ),
    "the name once more when all is said": (
        [Part(0, name="set", arguments="{}"), Part(0, name="set")],
        [("set", "{}")],
    ),
    "text within a call": (
        ["So: ", Part(0, "a", "set", '{"x"'), " and ", Part(0, arguments=": 1}"), "so"],
        [("set", '{"x": 1}')],
    ),
    "a tagged call beside": (
        [Part(0, "a", "set", "{}"), '<tool_call>{"name": "time", "arguments": {}}</tool_call>'],
        [("set", "{}"), ("time", "{}")],
    ),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.anyio
async def test_a_call_is_told_with_all_of_its_name_first_however_late_the_server_sends_it(way: str) -> None:
    parts, expected = WAYS[way]
    chat = says(*map(chunk_of, parts), piece("", finish="tool_calls"), "[DONE]")
    async with engine_with_chat(chat) as (engine, _):
        events = await collect(engine, ask(tools=TOOLS))
    last = check_shape(events)
    assert isinstance(last, Finished)
    assert last.reason == "tool_calls"
    calls = calls_in(events)
    assert [(name, arguments) for _, name, arguments in calls] == expected
    assert all(call_id for call_id, _, _ in calls)
    assert len({call_id for call_id, _, _ in calls}) == len(calls)
    assert text_of(events) == "".join(part for part in parts if isinstance(part, str) and "<" not in part)


def cut_up(text: str) -> st.SearchStrategy[list[str]]:
    """``text`` in pieces, none of them empty."""
    places = st.sets(st.integers(1, max(1, len(text) - 1))).map(lambda found: sorted({0, *found, len(text)}))
    return places.map(lambda ends: [text[start:end] for start, end in itertools.pairwise(ends) if start < end])


@st.composite
def one_call(draw: st.DrawFn, index: int) -> tuple[list[Part], tuple[str, str, str]]:
    """A call as parts, and what it is. Its id comes at any time before the end of its name."""
    name = draw(st.sampled_from(NAMES))
    arguments = json.dumps(draw(st.dictionaries(st.text(max_size=3), st.integers() | st.text(max_size=5), max_size=2)))
    names = draw(cut_up(name))
    parts = [Part(index, name=part) for part in names]
    at = draw(st.integers(0, len(parts) - 1))
    parts[at] = Part(index, id=f"id{index}", name=parts[at].name)
    said = [Part(index, arguments=part) for part in draw(cut_up(arguments))]
    early = draw(st.booleans()) and len(parts) == 1
    return (said + parts if early else parts + said), (f"id{index}", name, arguments)


@st.composite
def answers(draw: st.DrawFn) -> tuple[list[Part | str], list[tuple[str, str, str]], str]:
    """Parts of calls and texts, shuffled but for the order within a call; the calls; the text."""
    drawn = [draw(one_call(index)) for index in range(draw(st.integers(0, 3)))]
    texts = draw(st.lists(st.sampled_from(["So", " ", "好"]), max_size=4))
    rows = [list[Part | str](parts) for parts in (*(parts for parts, _ in drawn), texts)]
    order = draw(st.permutations([row for row, parts in enumerate(rows) for _ in parts]))
    # A server tells indexes apart, but gives them in the order in which it begins its calls.
    first = list(dict.fromkeys(row for row in order if row < len(drawn)))
    waiting = [iter(row) for row in rows]
    return [next(waiting[row]) for row in order], [drawn[row][1] for row in first], "".join(texts)


@given(answers())
def test_calls_and_text_come_whole_and_one_after_the_other_from_any_mixture(
    answer: tuple[list[Part | str], list[tuple[str, str, str]], str],
) -> None:
    parts, calls, text = answer
    transcript = transcript_of(ask(tools=TOOLS, sampling=SamplingParams(logprobs=True)))  # text as it came
    events = told(transcript, parts)
    assert calls_in(events) == calls
    assert text_of(events) == text
    assert [(call.id, call.name, call.arguments) for call in transcript.calls.values()] == calls


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([Part(0, "a")], []),
        ([Part(0, "a", "ge")], []),
        ([Part(0, "a", "get")], [("get", "")]),
        ([Part(0, "a", "get", '{"x')], [("get", '{"x')]),
        ([Part(0, "a", arguments='{"x')], []),
        ([Part(0, "a", "get"), Part(1, "b")], [("get", "")]),
        ([Part(0, "a"), Part(1, "b", "get", "{}")], []),
    ],
)
def test_a_call_that_the_limit_cuts_within_its_name_is_none(
    parts: list[Part | str], expected: list[tuple[str, str]]
) -> None:
    events = told(transcript_of(ask(tools=TOOLS)), parts, "length")
    assert [(name, arguments) for _, name, arguments in calls_in(events)] == expected


@pytest.mark.anyio
async def test_a_call_that_never_gets_a_name_is_a_failure_that_says_so() -> None:
    chat = says(chunk_of(Part(0, "a", arguments="{}")), piece("", finish="tool_calls"))
    async with engine_with_chat(chat) as (engine, _):
        last = check_shape(await collect(engine, ask(tools=TOOLS)))
    assert isinstance(last, Failed)
    assert isinstance(last.error, UpstreamError)
    assert "did not say which" in last.error.message


@pytest.mark.slow
@pytest.mark.anyio
async def test_what_waits_for_its_turn_is_not_lost_at_the_deadline() -> None:
    chat = says(*map(chunk_of, [Part(0, "a", "set", '{"x"'), "so", Part(1, "b", "time")]), before_end="hang")
    async with engine_with_chat(chat) as (engine, _):
        events = await collect(engine, ask(tools=TOOLS, timeout_s=2.0))
    assert [(name, arguments) for _, name, arguments in calls_in(events)] == [("set", '{"x"'), ("time", "")]
    assert text_of(events) == "so"


def thinks(text: str) -> dict[str, Any]:
    return piece("", delta={"content": None, "reasoning_content": text})


@pytest.mark.parametrize("end", [piece("", finish="stop"), "[DONE]"], ids=["a reason", "the end mark"])
@pytest.mark.anyio
async def test_an_answer_that_a_server_takes_for_thoughts_is_the_answer(end: object) -> None:
    """As vLLM's parsers do where the chat template was told that the model is not to think."""
    async with engine_with_chat(says(thinks('{"a": '), thinks("1}"), end, "[DONE]")) as (engine, _):
        events = await collect(engine, ask(grammar=JsonSchema({"type": "object", "required": ["a"]})))
    assert isinstance(check_shape(events), Finished)
    assert text_of(events) == '{"a": 1}'


@pytest.mark.anyio
async def test_no_document_is_made_up_where_the_limit_cut_thoughts() -> None:
    async with engine_with_chat(says(thinks("Hm, "), piece("", finish="length"), "[DONE]")) as (engine, _):
        events = await collect(engine, ask(grammar=JsonSchema({"type": "object", "required": ["a"]})))
    last = check_shape(events)
    assert isinstance(last, Failed)
    assert (text_of(events), last.error.message) == ("", NO_ROOM_FOR_ANSWER)


@pytest.mark.anyio
async def test_thoughts_that_were_told_are_not_thought_again() -> None:
    async with engine_with_chat(says(thinks("Hm, "), before_end="reset")) as (engine, upstream):
        assert isinstance(check_shape(await collect(engine, ask())), Failed)
        assert len(upstream.requests_to(CHAT)) == 1


@pytest.mark.anyio
async def test_thoughts_count_where_the_server_counts_nothing() -> None:
    chunks = (thinks("one two "), thinks("three "), piece("four"), piece("", finish="stop"), "[DONE]")
    async with engine_with_chat(says(*chunks)) as (engine, _):
        last = check_shape(await collect(engine, ask()))
    assert isinstance(last, Finished)
    assert last.usage.completion_tokens == len(b"one two three four")


TAGS = {"of most models": ("<think>\n", "</think>\n\n"), "of Mistral's": ("\n[THINK]", "[/THINK]")}


@pytest.mark.parametrize("tags", TAGS.values(), ids=TAGS)
@pytest.mark.parametrize("size", [2, 3, 100])
@pytest.mark.anyio
async def test_thoughts_that_a_server_left_before_the_answer_are_thoughts(tags: tuple[str, str], size: int) -> None:
    opening, closing = tags
    call = '<tool_call>\n{"name": "time", "arguments": {}}\n</tool_call>'
    text = f"{opening}Not {call}, a < b.{closing}{{}}"
    pieces = [piece(text[at : at + size]) for at in range(0, len(text), size)]
    for request in (ask(grammar=JsonSchema({"type": "object"})), ask(tools=TOOLS)):
        async with engine_with_chat(says(*pieces, piece("", finish="stop"), "[DONE]")) as (engine, _):
            events = await collect(engine, request)
        assert isinstance(check_shape(events), Finished)
        assert (text_of(events), calls_in(events)) == ("{}", [])
        thoughts = "".join(event.text for event in events if isinstance(event, Thought))
        assert thoughts.strip() == f"Not {call}, a < b."


@pytest.mark.parametrize("text", ["<thin", "<thinner> is <think>no thought</think>", " \n", "[THE END]"])
@pytest.mark.anyio
async def test_what_only_looks_like_thoughts_is_the_answer(text: str) -> None:
    async with engine_with_chat(says(*map(piece, text), piece("", finish="stop"), "[DONE]")) as (engine, _):
        events = await collect(engine, ask())
    assert isinstance(check_shape(events), Finished)
    assert text_of(events) == text


@pytest.mark.anyio
async def test_thoughts_in_the_text_that_the_limit_cut_are_no_document() -> None:
    async with engine_with_chat(says(piece("<think>Hm, </th"), piece("", finish="length"), "[DONE]")) as (engine, _):
        events = await collect(engine, ask(grammar=JsonSchema({"type": "object"})))
    last = check_shape(events)
    assert isinstance(last, Failed)
    assert (text_of(events), last.error.message) == ("", NO_ROOM_FOR_ANSWER)


@pytest.mark.anyio
async def test_a_refusal_is_the_answer() -> None:
    """OpenAI's models write one in the place of the content."""
    chunk = piece("", delta={"content": None, "refusal": "I cannot help with that."})
    async with engine_with_chat(says(chunk, piece("", finish="stop"), "[DONE]")) as (engine, _):
        events = await collect(engine, ask())
    assert isinstance(check_shape(events), Finished)
    assert text_of(events) == "I cannot help with that."
