"""A server's stream of events: every way to write one that the format allows, cut at any byte."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwen_app.engine.remote.connection import chunk as module
from qwen_app.engine.remote.connection.chunk import EventReader, read_chunks
from qwen_app.messages import Failed, Finished
from tests.engine.contract import ask, check_shape, collect, text_of
from tests.engine.remote.engines import engine_with_chat
from tests.engine.remote.upstream import Handler, Reply, Request
from tests.engine.remote.vllm_like import piece

MARK = b"\xef\xbb\xbf"


def data_of(*pieces: bytes) -> list[str]:
    events = EventReader()
    return [event.data for content in pieces for event in events.feed(content)]


CASES: dict[str, tuple[bytes, list[str]]] = {
    "as everybody writes it": (b"data: 1\n\ndata: 2\n\n", ["1", "2"]),
    "no blank after the colon": (b"data:1\n\n", ["1"]),
    "only one blank is the format's": (b"data:  1\n\n", [" 1"]),
    "carriage returns and line feeds": (b"data: 1\r\n\r\ndata: 2\r\n\r\n", ["1", "2"]),
    "carriage returns": (b"data: 1\r\rdata: 2\r\r", ["1", "2"]),
    "several lines": (b'data: {"a":\ndata: 1}\n\n', ['{"a":\n1}']),
    "a mark of the byte order": (MARK + b"data: 1\n\n", ["1"]),
    "comments": (b": ping\n\n:\n\ndata: 1\n: within\ndata: 2\n\n", ["1\n2"]),
    "data that are empty": (b"data:\n\ndata: \n\ndata\n\ndata: 1\n\n", ["1"]),
    "events without data": (b"event: ping\n\nid: 7\n\nretry: 3\n\ndata: 1\n\n: still here\n\n\n", ["1"]),
    "fields of no meaning here": (b"id: 7\nretry: soon\nnonsense\nother: y\ndata: 1\n\n", ["1"]),
    "a field that only begins like data": (b"datum: 2\ndata : 3\n data: 4\ndata: 1\n\n", ["1"]),
    "what other formats take for line ends": ('data: "a\u2028b\u0085c\x0bd"\n\n'.encode(), ['"a\u2028b\u0085c\x0bd"']),
    "bytes that are no UTF-8": (b"data: a\xffb\n\n", ["a\ufffdb"]),
    "an event that is not ended": (b"data: 1\n\ndata: 2\n", ["1"]),
}


@pytest.mark.parametrize("case", CASES)
def test_events_are_read_as_the_format_says(case: str) -> None:
    written, expected = CASES[case]
    assert data_of(written) == expected
    assert data_of(*(written[at : at + 1] for at in range(len(written)))) == expected


def test_an_event_has_the_name_that_stands_before_its_end() -> None:
    written = b"event: error\ndata: 1\n\ndata: 2\n\nevent:x\n\ndata: 3\nevent: y\n\n"
    found = [(event.name, event.data) for event in EventReader().feed(written)]
    assert found == [("error", "1"), ("", "2"), ("y", "3")]


lines = st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\r\n"), max_size=8)
fillers = st.sampled_from(["", ": ping", ":", "event: message", "id: 1", "retry: 10", "data"])


@st.composite
def streams(draw: st.DrawFn) -> tuple[bytes, list[str]]:
    """A stream with one kind of line end, and the data of its events."""
    written: list[str] = []
    expected: list[str] = []
    for _ in range(draw(st.integers(0, 4))):
        data = draw(st.lists(lines, min_size=1, max_size=3))
        written += [*draw(st.lists(fillers, max_size=3)), ""]
        written += ["data: " + line for line in data] + [""]
        expected += ["\n".join(data)] if "".join(data).strip() else []
    end = draw(st.sampled_from(["\n", "\r\n", "\r"]))
    mark = draw(st.sampled_from([b"", MARK]))
    return mark + "".join(line + end for line in written).encode(), expected


@given(streams(), st.lists(st.integers(0, 300), max_size=8))
def test_the_same_stream_cut_anywhere_gives_the_same_events(stream: tuple[bytes, list[str]], cuts: list[int]) -> None:
    written, expected = stream
    places = sorted({min(cut, len(written)) for cut in cuts} | {0, len(written)})
    assert data_of(*(written[start:end] for start, end in itertools.pairwise(places))) == expected
    assert data_of(*(written[at : at + 1] for at in range(len(written)))) == expected


async def text_in(content: bytes, cuts: list[int], kind: str) -> str:
    places = sorted({min(cut, len(content)) for cut in cuts} | {0, len(content)})

    async def pieces() -> AsyncGenerator[bytes, None]:
        for start, end in itertools.pairwise(places):
            yield content[start:end]

    choices = [choice async for chunk in read_chunks(pieces(), kind) for choice in chunk.choices or ()]
    assert choices[-1].finish_reason == "stop"
    return "".join((choice.delta.content if choice.delta else None) or "" for choice in choices)


@given(
    st.text(st.characters(blacklist_categories=("Cs",))),
    st.sampled_from([b"", MARK, b"\r\n \n", MARK + b"\n"]),
    st.sampled_from(["text/event-stream", "", "application/json; charset=utf-8", "text/plain", "Text/Event-Stream"]),
    st.sampled_from(["message", "delta"]),
    st.lists(st.integers(0, 300), max_size=8),
)
def test_an_answer_is_the_same_streamed_or_whole_whatever_it_is_called(
    text: str, before: bytes, kind: str, name: str, cuts: list[int]
) -> None:
    message = {"role": "assistant", "content": text, "tool_calls": None}
    document = json.dumps({"choices": [{name: message}]}, ensure_ascii=False).encode()
    chunks = [piece(text), piece("", finish="stop")]
    stream = b"".join(b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks)
    for content in (document, stream):
        assert asyncio.run(text_in(before + content, cuts, kind)) == text


def sends(*pieces: bytes) -> Handler:
    async def chat(request: Request, reply: Reply) -> None:
        await reply.stream()
        for content in pieces:
            await reply.piece(content)
        await reply.end()

    return chat


def written(*chunks: dict[str, Any] | str, end: str = "\n") -> bytes:
    """``chunks`` with all around them that keeps a connection alive."""
    events = []
    for chunk in chunks:
        text = chunk if isinstance(chunk, str) else json.dumps(chunk, ensure_ascii=False, indent=1)
        data = [f"data:{line}" for line in text.split("\n")]
        events += [": ping", "", "data:", "", "id: 7", "event: message", *data, "", ":", ""]
    return MARK + "".join(line + end for line in events).encode()


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("size", [1, 7, 100_000])
@pytest.mark.anyio
async def test_an_answer_is_whole_however_its_events_are_written_and_cut(end: str, size: int) -> None:
    content = written(piece("你好, "), piece("\u2028world"), piece("", finish="stop"), "[DONE]", end=end)
    chat = sends(*(content[at : at + size] for at in range(0, len(content), size)))
    async with engine_with_chat(chat) as (engine, _):
        events = await collect(engine, ask())
    assert isinstance(check_shape(events), Finished)
    assert text_of(events) == "你好, \u2028world"


@pytest.mark.anyio
async def test_an_answer_in_other_bytes_than_utf_8_is_an_answer_all_the_same() -> None:
    content = b'data: {"choices": [{"delta": {"content": "caf\xe9"}, "finish_reason": "stop"}]}\n\n'
    async with engine_with_chat(sends(content)) as (engine, _):
        events = await collect(engine, ask())
    assert isinstance(check_shape(events), Finished)
    assert text_of(events) == "caf\ufffd"


@pytest.mark.parametrize("end", [b"", b"\n", b"\r", b"\r\n"])
@pytest.mark.anyio
async def test_the_last_event_needs_no_blank_line_behind_it(end: bytes) -> None:
    last = b"id: 7\ndata: " + json.dumps(piece("!", finish="stop")).encode() + end
    async with engine_with_chat(sends(written(piece("Hi")), last)) as (engine, _):
        events = await collect(engine, ask())
    assert isinstance(check_shape(events), Finished)
    assert text_of(events) == "Hi!"


@pytest.mark.parametrize("end", [b"", b"\n"])
@pytest.mark.anyio
async def test_the_end_mark_needs_no_blank_line_behind_it(end: bytes) -> None:
    async with engine_with_chat(sends(written(piece("Hi")), b"data: [DONE]" + end)) as (engine, _):
        assert isinstance(check_shape(await collect(engine, ask())), Finished)


@pytest.mark.anyio
async def test_an_error_that_a_stream_ends_in_is_told() -> None:
    refused = b'event: error\ndata: {"message": "the reason"}\n'
    async with engine_with_chat(sends(written(piece("Hi")), refused)) as (engine, _):
        last = check_shape(await collect(engine, ask()))
    assert isinstance(last, Failed)
    assert "the reason" in last.error.message


@pytest.mark.anyio
async def test_a_stream_that_breaks_off_within_an_event_is_a_failure() -> None:
    async with engine_with_chat(sends(written(piece("Hi")), b'data: {"choices": [')) as (engine, _):
        events = await collect(engine, ask())
    assert isinstance(check_shape(events), Failed)
    assert text_of(events) == "Hi"


@pytest.mark.anyio
async def test_a_whole_answer_without_an_end_is_a_failure_and_not_held_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "LIMIT_CHARACTERS", 5_000)
    async with engine_with_chat(sends(b'{"choices": [', *[b" " * 900] * 10)) as (engine, _):
        last = check_shape(await collect(engine, ask()))
    assert isinstance(last, Failed)
    assert "more than any event can hold" in str(last.error)


@pytest.mark.anyio
async def test_blanks_that_keep_a_connection_alive_are_not_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LIMIT_CHARACTERS", 5_000)
    document = (b'{"choices": [', b'{"message": {"content": "Hi"}}]}')
    async with engine_with_chat(sends(*[b"\n" * 900] * 10, *document)) as (engine, _):
        events = await collect(engine, ask())
    assert isinstance(check_shape(events), Finished)
    assert text_of(events) == "Hi"


@pytest.mark.anyio
async def test_an_event_without_an_end_is_a_failure_and_not_held_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LIMIT_CHARACTERS", 5_000)
    endless = [b"data: " + b"x" * 1_000, *[b"x" * 900 + b"\ndata: " for _ in range(10)]]
    async with engine_with_chat(sends(written(piece("Hi")), *endless)) as (engine, _):
        events = await collect(engine, ask())
    last = check_shape(events)
    assert isinstance(last, Failed)
    assert "more than any event can hold" in str(last.error)
