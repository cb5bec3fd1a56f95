"""What a visitor wrote is there again after a reload, and after the end of the server where that can be."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import anyio
import httpx
import pytest
from playwright.async_api import Page, expect

from tests.browser.chat_page import ChatPage, open_tab
from tests.browser.conftest import OpenChat
from tests.browser.serving import running_app

pytestmark = pytest.mark.anyio
SCHEMA = '{"type": "integer"}'
TOOL = '[{"type": "function", "function": {"name": "mine"}}]'
FIELDS = {
    "json-lab": ("#json-lab-prompt textarea",),
    "tools": ("#tools-prompt textarea",),
    "compare": ("#compare-prompt textarea", "#compare-left-system textarea", "#compare-right-system textarea"),
    "files": ("#files-question textarea",),
}
EDITORS = {"json-lab": ("#schema", SCHEMA), "tools": ("#definitions", TOOL)}


async def write(page: Page, editor: str, text: str) -> None:
    await page.locator(f"{editor} .cm-content").click()
    await page.keyboard.press("Control+A")
    await page.keyboard.insert_text(text)


@pytest.mark.parametrize("locale", ["en-US", "zh-CN"])
async def test_what_is_written_in_the_tabs_is_there_after_a_reload(
    roomy: str, open_chat: OpenChat, locale: str
) -> None:
    page = (await open_chat(roomy, locale=locale)).page
    for tab, fields in FIELDS.items():
        await open_tab(page, tab)
        for field in fields:
            await page.locator(field).fill(f"mine in {field}")
        if tab in EDITORS:
            await write(page, *EDITORS[tab])
    await page.goto(roomy)
    for tab, fields in FIELDS.items():
        await open_tab(page, tab)
        for field in fields:
            await expect(page.locator(field)).to_have_value(f"mine in {field}")
        if tab in EDITORS:
            editor, text = EDITORS[tab]
            await expect(page.locator(f"{editor} .cm-content")).to_have_text(text)
            await expect(page.locator(f"{editor}-check .good").first).to_be_visible()


async def test_a_sample_that_nobody_changed_follows_the_language(roomy: str, open_chat: OpenChat) -> None:
    page = (await open_chat(roomy)).page
    await open_tab(page, "compare")
    await expect(page.locator("#compare-prompt textarea")).to_have_value("Name three colours.")
    await page.locator("#language").get_by_text("中文").click()
    await expect(page.locator("#compare-prompt textarea")).to_have_value("说出三种颜色。")
    await page.goto(roomy)
    await open_tab(page, "compare")
    await expect(page.locator("#compare-prompt textarea")).to_have_value("说出三种颜色。")


async def pick(page: Page, *files: Path) -> None:
    async with page.expect_file_chooser() as choosing:
        await page.locator("#attach").click()
    await (await choosing.value).set_files(files)


async def test_a_document_that_is_not_sent_yet_is_there_after_a_reload(
    roomy: str, open_chat: OpenChat, tmp_path: Path
) -> None:
    chat = await open_chat(roomy)
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text(f"This is {name}.", encoding="utf-8")
    await pick(chat.page, tmp_path / "a.txt", tmp_path / "b.txt")
    chips = chat.page.locator("#documents li")
    await expect(chips).to_have_count(2)
    await chat.page.reload()
    await expect(chips).to_have_count(2)
    await chips.first.locator("button").click()
    await expect(chips).to_have_count(1)
    await chat.page.reload()
    await expect(chips).to_contain_text("b.txt")
    await expect(chat.page.locator("#composer .submit-button")).to_be_enabled()  # it waits for what comes back
    await chat.ask("What is it?")
    await expect(chat.questions.first.locator(".document-chip")).to_contain_text("b.txt")
    await chat.page.reload()
    await expect(chat.questions).to_have_count(1)
    await expect(chips).to_have_count(0)


@asynccontextmanager
async def kept_busy(url: str) -> AsyncIterator[None]:
    """The server's only slot has an answer that does not end by itself, and is read: who reads nothing is dropped."""
    body = {"prompt": "On and on", "max_tokens": 3_500, "ignore_eos": True, "stream": True}
    begun = anyio.Event()

    async def read() -> None:
        with suppress(httpx.HTTPError):  # the server is killed
            async with (
                httpx.AsyncClient(trust_env=False, timeout=60) as client,
                client.stream("POST", f"{url}/v1/completions", json=body) as answer,
            ):
                async for _ in answer.aiter_bytes():
                    begun.set()

    async with anyio.create_task_group() as reading:
        reading.start_soon(read)
        await begun.wait()
        yield
        reading.cancel_scope.cancel()


async def wait_behind_an_answer(chat: ChatPage, *messages: str) -> None:
    await chat.send("Hello.")
    await expect(chat.stop).to_be_visible()
    await expect(chat.composer).to_have_value("")
    for number, message in enumerate(messages, 1):
        await chat.send(message)
        await expect(chat.page.locator("#chat-waiting .waiting-message")).to_have_count(number)


@pytest.mark.slow
async def test_what_waits_to_be_sent_comes_back_into_the_composer_when_the_server_has_ended(
    builtin_dir: Path, tmp_path: Path, open_chat: OpenChat
) -> None:
    settings = {"models_dir": builtin_dir.parent, "context": 4096, "users": 1}
    processes: list[int] = []
    with running_app(tmp_path / "log", processes=processes, **settings) as url:
        chat = await open_chat(url)
        temporary = await open_chat(url)
        await temporary.page.locator(".chats-temporary").click()
        await expect(temporary.page.locator("body.temporary-chat")).to_be_attached()
        await temporary.ask("Say hello.")
        async with kept_busy(url):
            await wait_behind_an_answer(chat, "first that waits", "second that waits")
            await chat.composer.fill("and a draft")
            os.kill(processes[0], signal.SIGKILL)
        await expect(chat.page.locator(".server-lost")).to_contain_text("messages that wait to be sent are kept")
        await expect(temporary.page.locator(".server-lost")).to_contain_text("saved nowhere")
    with running_app(tmp_path / "log", port=int(url.rpartition(":")[2]), **settings):
        await expect(chat.page.locator(".server-lost")).to_have_count(0)
        await expect(chat.composer).to_have_value("first that waits\nsecond that waits\nand a draft")
        await expect(temporary.page.locator(".server-lost")).to_contain_text("has begun anew")
        await expect(temporary.questions).to_have_count(1)
        await chat.page.reload()
        await expect(chat.composer).to_have_value("first that waits\nsecond that waits\nand a draft")
