"""The search as a tool: numbered passages of the owner's own files, no more than there is room for."""

from __future__ import annotations

import json

import pytest

from qwen_app.documents.document import Document, Section
from qwen_app.knowledge.file_search import FEWEST_CHARACTERS, FileSearch
from qwen_app.knowledge.knowledge_base import KnowledgeBase, knowledge_in_memory
from qwen_app.messages import ToolCall
from tests.knowledge.keeping import keep_in

pytestmark = pytest.mark.anyio


@pytest.fixture
async def base() -> KnowledgeBase:
    made = knowledge_in_memory()
    sections = tuple(Section("page", n, n, f"Room {n} holds {n * 11} chairs. " * 30) for n in range(1, 9))
    await keep_in(made, "ada", "rooms", Document("rooms.pdf", "pdf", sections))
    return made


async def called(base: KnowledgeBase, owner: str, context_tokens: int = 32_768, **arguments: str) -> dict[str, object]:
    call = ToolCall("call_1", "search_files", json.dumps(arguments))
    told: dict[str, object] = json.loads(await FileSearch(base).call(owner, call, context_tokens))
    return told


async def test_passages_are_numbered_with_file_and_place(base: KnowledgeBase) -> None:
    found = await called(base, "ada", query="chairs of room 7")
    passages = found["passages"]
    assert isinstance(passages, list)
    assert [one["number"] for one in passages] == list(range(1, len(passages) + 1))
    assert (passages[0]["file"], passages[0]["place"]) == ("rooms.pdf", "page 7")


@pytest.mark.parametrize("context_tokens", [256, 4096, 8192])
async def test_they_keep_to_their_budget(base: KnowledgeBase, context_tokens: int) -> None:
    found = await called(base, "ada", context_tokens, query="chairs")
    passages = found["passages"]
    assert isinstance(passages, list)
    assert 0 < sum(len(one["text"]) for one in passages) <= max(FEWEST_CHARACTERS, context_tokens // 4)


async def test_nothing_found_is_said_and_nobody_elses_files_are_searched(base: KnowledgeBase) -> None:
    assert (await called(base, "ada", query="zebras"))["passages"] == []
    assert "no files" in str((await called(base, "bob", query="chairs"))["error"])
    assert "no files" in str((await called(base, "", query="chairs"))["error"])
    assert "rooms" in str((await called(base, "ada", query="chairs", collection="other"))["error"])
    assert "query" in str((await called(base, "ada", query=" "))["error"])
