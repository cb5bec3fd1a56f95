"""A chat as JSON and back: whatever is exported can be imported, and what else comes is bounded."""

from __future__ import annotations

import json
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwen_app.errors import RequestError, TooLarge
from qwen_app.saved_chats.chat_json import LIMIT_BYTES, LIMIT_LEVELS, LIMIT_MESSAGES, chat_json, read_chat
from qwen_app.saved_chats.saved_chats import chats_in_memory
from qwen_app.saved_chats.values import ChatSummary, Json, SavedChat, SavedMessage


def chat_of(parents: list[int | None], content: str = "x", settings: Json | None = None) -> SavedChat:
    """A chat of as many messages; each names its parent, of which every second one down is an answer."""
    depths: list[int] = []
    for parent in parents:
        depths.append(0 if parent is None else depths[parent] + 1)
    messages = tuple(
        SavedMessage(
            id=f"{number:032x}",
            parent_id=None if parent is None else f"{parent:032x}",
            role="assistant" if depths[number] % 2 else "user",
            content=content,
            settings=settings or {},
            run={"reason": "stop"} if depths[number] % 2 else {},
            created_at=1.5,
        )
        for number, parent in enumerate(parents)
    )
    return SavedChat(ChatSummary("c", "A chat"), messages, messages[-1].id)


def long_chat(messages: int) -> SavedChat:
    return chat_of([None, *range(messages - 1)])


def shape(chat: SavedChat) -> list[tuple[object, ...]]:
    """All that an import keeps: everything but the ids, for which places stand."""
    places = {message.id: place for place, message in enumerate(chat.messages)}
    rows: list[tuple[object, ...]] = [
        (places.get(one.parent_id or ""), one.role, one.content, one.settings, one.run, one.created_at)
        for one in chat.messages
    ]
    return [*rows, (chat.summary.title, places[chat.head_id or ""])]


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
trees = st.lists(st.integers(0, 50), max_size=12).map(
    lambda picks: [None, *(pick % (place + 1) for place, pick in enumerate(picks))]
)


@given(trees, st.text(max_size=20), st.dictionaries(st.text(max_size=3), values, max_size=2))
def test_what_is_exported_comes_back_as_it_was(parents: list[int | None], content: str, settings: Json) -> None:
    chat = chat_of(parents, content, settings)
    written = chat_json(chat).encode()
    assert shape(read_chat(written)) == shape(read_chat(b"\xef\xbb\xbf" + written)) == shape(chat)


def test_a_chat_of_more_than_5_000_messages_comes_back_and_is_saved_whole() -> None:
    chat = long_chat(12_000)
    copy = read_chat(chat_json(chat).encode())
    assert shape(copy) == shape(chat)
    saved = chats_in_memory()
    saved.chats.save("ada", copy)
    kept = saved.chats.load("ada", copy.summary.id)
    assert kept is not None
    assert shape(kept) == shape(chat)


@pytest.mark.slow
def test_as_many_messages_as_the_limit_has_room_for_are_read_and_others_have_their_turn_meanwhile() -> None:
    written = chat_json(long_chat(LIMIT_MESSAGES)).encode()
    reading = threading.Thread(target=read_chat, args=(written,))
    turns = 0
    reading.start()
    while reading.is_alive():
        time.sleep(0.001)
        turns += 1
    assert turns > 20


def test_a_file_over_the_limits_is_refused_with_a_sentence() -> None:
    written = chat_json(chat_of([None], "x" * LIMIT_BYTES)).encode()
    with pytest.raises(TooLarge, match="16 MiB"):
        read_chat(written)
    with pytest.raises(TooLarge, match="more than 20,000 messages"):
        read_chat(chat_json(long_chat(LIMIT_MESSAGES + 1)).encode())


@pytest.mark.parametrize(
    "settings",
    [
        "[" * (LIMIT_LEVELS + 1) + "]" * (LIMIT_LEVELS + 1),
        "[" * 900 + "]" * 900,
        "[" * 100_000,
        f"[{'[],' * (LIMIT_BYTES // 16)}0]",
        f"[{'0,' * (LIMIT_BYTES // 8)}0]",
    ],
    ids=["deep", "deeper", "endless", "many lists", "many numbers"],
)
def test_a_file_that_would_fill_the_memory_or_the_stack_is_refused(settings: str) -> None:
    head, tail = chat_json(chat_of([None], settings={"x": "HERE"})).split('"HERE"')
    with pytest.raises(RequestError, match="no chat that was exported here"):
        read_chat((head + settings + tail).encode())


def test_what_is_read_can_be_written_again_however_deep_it_is() -> None:
    deep: object = 1
    for _ in range(LIMIT_LEVELS - 2):
        deep = [deep]
    copy = read_chat(chat_json(chat_of([None], settings={"x": deep})).encode())
    assert json.loads(chat_json(copy))["messages"][0]["settings"] == {"x": deep}


def test_deep_values_are_written_as_long_as_they_came() -> None:
    deep: Json = {"values": [0] * 200}
    for _ in range(LIMIT_LEVELS - 5):
        deep = {"": deep}
    chat = chat_of([None, 0, 1], settings=deep)
    text = chat_json(chat)
    assert len(chat_json(read_chat(text.encode()))) <= len(text)
    assert len(text) < 3 * 3_000
