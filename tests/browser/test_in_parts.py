"""A hundred pages that exceed the context, read in parts by the built-in model, and asked in the files tab instead."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from qwen_app.knowledge.file_store import Collection
from qwen_app.knowledge.knowledge_base import KnowledgeBase
from qwen_app.messages import GenerationRequest
from qwen_app.testing.scripted_engine import Script, ScriptedEngine
from tests.browser.chat_page import ChatPage
from tests.browser.conftest import OpenChat
from tests.browser.serving import running_app, running_page
from tests.documents import files

pytestmark = pytest.mark.anyio

BOOK = files.pdf([f"Room {number} holds {number * 11} chairs." for number in range(1, 101)])
CONTEXT = 1536
PATIENCE_S = 60
ANSWER_MS = 240_000  # five parts on a shared CPU


@pytest.fixture(scope="module")
def own(builtin_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    log = tmp_path_factory.mktemp("app") / "log"
    with running_app(log, models_dir=builtin_dir.parent, context=CONTEXT, users=2, chat_titles="false") as url:
        yield url


def held(request: GenerationRequest) -> Script:
    """Notes the first two parts at once, and takes its time for the third; cites the first passage it is sent."""
    prompt = request.messages[-1].content
    part = re.search(r'<part number="(\d+)"', prompt)
    if part is None:
        return Script(("It is said there [1].",))
    return Script(("noted [page 2]",), token_s=3600 if int(part[1]) > 2 else 0)


@pytest.fixture(scope="module")
def slow_third() -> Iterator[str]:
    with running_page(ScriptedEngine(held, context_tokens=2048), chat_titles=False) as url:
        yield url


async def give(page: Page, book: Path) -> None:
    async with page.expect_file_chooser() as chooser:
        await page.get_by_role("button", name="Add a document").click()
    await (await chooser.value).set_files(book)
    await expect(page.locator("#documents .documents-ways")).to_be_visible()


@pytest.fixture
def book(tmp_path: Path) -> Path:
    path = tmp_path / "book.pdf"
    path.write_bytes(BOOK)
    return path


async def test_the_built_in_model_reads_a_hundred_pages_in_parts(own: str, open_chat: OpenChat, book: Path) -> None:
    chat = await open_chat(own)
    await chat.set("max-tokens", 32)
    await give(chat.page, book)
    await chat.composer.fill("How many chairs are there?")
    await chat.page.get_by_role("button", name="Read in parts").click()
    await expect(chat.page.locator("#live")).to_contain_text(re.compile(r"Part \d+ of \d+ \(pages \d+-\d+\)"))
    await expect(chat.composer).to_have_value("")
    notes = chat.answers.first.locator(".notes")
    await expect(notes).to_contain_text(re.compile(r"Notes on \d+ parts"), timeout=ANSWER_MS)
    await expect(chat.answers.first.locator(".run-card")).to_be_visible(timeout=ANSWER_MS)
    await notes.locator("summary").click()
    await expect(notes.locator("dt").first).to_have_text(re.compile(r"^pages 1-\d+$"))
    await expect(notes.locator("dt").last).to_have_text(re.compile(r"^pages? (\d+-)?100$"))
    count = await notes.locator("dt").count()
    await chat.page.reload()
    await expect(chat.answers.first.locator(".notes dt")).to_have_count(count)
    await expect(chat.questions.first.locator(".document-chip")).to_contain_text("book.pdf · 100 pages")


async def test_stop_keeps_the_notes_and_continue_reads_on(slow_third: str, open_chat: OpenChat, book: Path) -> None:
    chat = await open_chat(slow_third)
    await give(chat.page, book)
    await chat.page.get_by_role("button", name="Read in parts").click()
    await expect(chat.page.locator("#live")).to_contain_text("Part 3 of")
    await chat.stop.click()
    await expect(chat.answers.first.locator(".notes")).to_contain_text(re.compile(r"Notes on 2 of \d+ parts"))
    await expect(chat.answers.first.locator(".run-card")).to_contain_text("Stopped")
    await chat.page.reload()
    await chat.answers.first.get_by_role("button", name="Continue").click()
    await expect(chat.page.locator("#live")).to_contain_text("Part 3 of")
    await chat.stop.click()
    await expect(chat.answers.first.locator(".run-card")).to_contain_text("Stopped")


async def ask_in_the_files_tab(chat: ChatPage, book: Path) -> None:
    await give(chat.page, book)
    await chat.composer.fill("How many chairs does room 42 hold?")
    await chat.page.get_by_role("button", name="Ask the knowledge base").click()


async def expect_the_answer(page: Page) -> None:
    await expect(page.locator("#files-told")).to_contain_text("book.pdf can be asked now.")
    await expect(page.locator("#files-collection input")).to_have_value("book")
    await expect(page.locator("#files-question textarea")).to_have_value("How many chairs does room 42 hold?")
    await expect(page.locator("#files-answer")).to_contain_text("It is said there")
    await expect(page.locator("#files-sources")).to_contain_text("page 42")


async def test_one_click_asks_the_document_in_the_files_tab(slow_third: str, open_chat: OpenChat, book: Path) -> None:
    chat = await open_chat(slow_third)
    await ask_in_the_files_tab(chat, book)
    page = chat.page
    await expect_the_answer(page)
    await page.locator("#chat-tab-button").click()
    await page.locator("#files-tab-button").click()  # the collection stays the one that is asked
    await expect(page.locator("#files-collection input")).to_have_value("book")


async def test_documents_arrive_in_the_files_tab_after_the_look_at_it(
    slow_third: str, open_chat: OpenChat, book: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looking, go_on = threading.Event(), threading.Event()
    described = KnowledgeBase.described

    async def slow_look(knowledge: KnowledgeBase, owner: str) -> list[Collection]:
        if not looking.is_set():  # the look at the first collection begins with the tab
            looking.set()
            await asyncio.to_thread(go_on.wait, PATIENCE_S)
        return await described(knowledge, owner)

    monkeypatch.setattr(KnowledgeBase, "described", slow_look)
    chat = await open_chat(slow_third)
    await ask_in_the_files_tab(chat, book)
    assert await asyncio.to_thread(looking.wait, PATIENCE_S)
    await expect(chat.page.locator("#files-question textarea")).to_be_visible()
    await expect(chat.page.locator("#files-question textarea")).to_have_value("")
    go_on.set()
    await expect_the_answer(chat.page)
