"""One thread reads everybody's chats and one everybody's files: a guest's many and costly requests stand behind each
other, and not before anybody else's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest

from qwen_app.documents.document import Document, Section
from qwen_app.errors import RequestError, TooManyRequests
from qwen_app.http.turns import Turns
from qwen_app.knowledge import file_store, search
from qwen_app.knowledge.knowledge_base import KnowledgeBase, knowledge_in_memory
from tests.knowledge.keeping import find_in, keep_in

pytestmark = pytest.mark.anyio

ODD_NAMES = ["\ud800", "a\0b", "'; DROP TABLE files; --", '" OR 1 --', "%", "\u202eoc", "𝕒", "n" * 10_000, ""]
QUERIES = [
    *ODD_NAMES,
    *('"', '""', '"a" OR "b"', "a NEAR b", "NEAR(a b, 5)", "title:a", "{title text}: a", "a AND NOT b", "a*", "^a"),
    *("-a", "rank:x", "words MATCH 'a'", "?" * 10_000, "word " * 100_000, "词" * 100_000, "(" * 10_000, "\\", "%_%"),
]


@pytest.fixture
async def knowledge() -> AsyncGenerator[KnowledgeBase, None]:
    made = knowledge_in_memory()
    async with made.running():
        yield made


def document(text: str, name: str = "a.txt") -> Document:
    return Document(name, "txt", (Section("lines", 1, 1, text),))


async def test_a_user_has_one_turn_and_so_many_waiting() -> None:
    turns, running, most = Turns(waiting=4), 0, 0

    async def ask(user: str) -> None:
        nonlocal running, most
        async with turns.of(user):
            running += user == "guest"
            most = max(most, running)
            await asyncio.sleep(0.01)
            running -= user == "guest"

    asked = [asyncio.create_task(ask("guest")) for _ in range(40)]
    await asyncio.sleep(0)
    await asyncio.wait_for(ask("ada"), 5)  # who waits behind nobody of his own does not wait
    outcomes = await asyncio.gather(*asked, return_exceptions=True)
    assert most == 1
    assert sum(isinstance(one, TooManyRequests) for one in outcomes) == 35
    assert [one for one in outcomes if one is not None and not isinstance(one, TooManyRequests)] == []


async def test_every_question_is_words_and_no_query(knowledge: KnowledgeBase) -> None:
    secret = await keep_in(knowledge, "ada", "files", document("The secret of Ada is 7391."))
    await keep_in(knowledge, "guest", "files", document("Nothing of note."))
    adas, guests = await knowledge.create("ada", "files"), await knowledge.create("guest", "files")
    for question in QUERIES:
        for collection in (guests, adas, *ODD_NAMES[:4]):
            found = await knowledge.find("guest", collection, f"{question} secret")
            assert all("7391" not in one.text for one in found.passages), question
    for name in (*ODD_NAMES, adas):
        assert await knowledge.files("guest", name) == []
        assert await knowledge.remove("guest", [name, secret.file.id] * 40_000) == 0
        assert not await knowledge.rename("guest", name, "mine")
        assert not await knowledge.drop("guest", name)
    assert [one.name for one in await knowledge.files("ada", adas)] == ["a.txt"]


async def test_a_costly_search_is_broken_off(knowledge: KnowledgeBase, monkeypatch: pytest.MonkeyPatch) -> None:
    await keep_in(knowledge, "guest", "files", document("ab cd " * 200_000))
    monkeypatch.setattr(search, "LIMIT_S", 0.0)
    monkeypatch.setattr(search, "LOOKED_AT_EVERY", 1)
    with pytest.raises(RequestError, match="took too long"):
        await find_in(knowledge, "guest", "files", "ab zz yy xx")
    monkeypatch.setattr(search, "LIMIT_S", 60.0)
    assert (await find_in(knowledge, "guest", "files", "ab cd")).passages


async def test_what_a_search_counts_itself_is_broken_off_too(
    knowledge: KnowledgeBase, monkeypatch: pytest.MonkeyPatch
) -> None:
    await keep_in(knowledge, "guest", "files", document("9qw9zx9 z " * 5_000))
    monkeypatch.setattr(search, "LIMIT_S", 0.0)
    monkeypatch.setattr(search, "LOOKED_AT_EVERY", 10**9)  # the database has too little to do to be asked
    with pytest.raises(RequestError, match="took too long"):
        await find_in(knowledge, "guest", "files", "qw zx")


async def test_files_are_bounded_for_a_user_and_in_all(
    knowledge: KnowledgeBase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_store, "LIMIT_CHARACTERS", 4_000)
    monkeypatch.setattr(file_store, "LIMIT_CHARACTERS_IN_ALL", 9_000)
    await keep_in(knowledge, "guest", "files", document("word " * 600))
    with pytest.raises(TooManyRequests, match="Your files"):
        await keep_in(knowledge, "guest", "files", document("word " * 600, "b.txt"))
    await keep_in(knowledge, "ada", "files", document("word " * 400))
    with pytest.raises(TooManyRequests, match="The server keeps"):
        await keep_in(knowledge, "bob", "files", document("word " * 600))
    monkeypatch.setattr(file_store, "LIMIT_PASSAGES", 30)
    headings = "".join(f"# {number}\n" for number in range(40))  # hardly any text, and a title with each passage
    with pytest.raises(TooManyRequests, match="Your files"):
        await keep_in(knowledge, "eve", "files", Document("a.md", "md", tuple(_sections(headings))))


async def test_cookies_without_a_login_are_one_user_of_the_room_for_files(
    knowledge: KnowledgeBase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_store, "LIMIT_CHARACTERS_IN_ALL", 9_000)
    await keep_in(knowledge, "browser 1", "files", document("word " * 400))
    await keep_in(knowledge, "browser 2", "files", document("word " * 400))
    with pytest.raises(TooManyRequests, match="The server keeps"):
        await keep_in(knowledge, "browser 3", "files", document("word " * 400))
    await keep_in(knowledge, "ada", "files", document("word " * 400))


def _sections(text: str) -> list[Section]:
    lines = text.splitlines()
    return [Section("section", number, number, line, line.strip("# ")) for number, line in enumerate(lines, 1)]
