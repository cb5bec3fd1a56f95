"""What a visitor wrote is there again after a reload, and after the end of the server where that can be."""

from __future__ import annotations

import os
import signal
from pathlib import Path

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
WRITTEN = sum(map(len, FIELDS.values())) + len(EDITORS)


async def write(page: Page, editor: str, text: str) -> None:
    await page.locator(f"{editor} .cm-content").click()
    await page.keyboard.press("Control+A")
    await page.keyboard.insert_text(text)


async def test_what_is_written_in_the_tabs_is_there_after_a_reload(roomy: str, open_chat: OpenChat) -> None:
    page = (await open_chat(roomy, locale="zh-CN")).page
    for tab, fields in FIELDS.items():
        await open_tab(page, tab)
        for field in fields:
            await page.locator(field).fill(f"mine in {field}")
        if tab in EDITORS:
            await write(page, *EDITORS[tab])
    await page.wait_for_function(
        f"sessionStorage.keys().filter((key) => key.startsWith('field:')).length === {WRITTEN}"
    )
    await page.goto(roomy)
    for tab, fields in FIELDS.items():
        await open_tab(page, tab)
        for field in fields:
            await expect(page.locator(field)).to_have_value(f"mine in {field}")
        if tab in EDITORS:
            editor, text = EDITORS[tab]
            await expect(page.locator(f"{editor} .cm-content")).to_have_text(text)
            await expect(page.locator(f"{editor}-check .good").first).to_be_visible()


async def test_how_the_page_was_set_is_kept_over_a_reload(roomy: str, open_chat: OpenChat) -> None:
    chat = await open_chat(roomy)
    page, panel = chat.page, chat.page.locator("#settings-panel")
    temperature, system = page.locator("#temperature input[type=number]"), page.locator("#system-prompt textarea")
    await chat.set("temperature", 0.4)
    await page.locator("#reset-settings").click()
    await expect(temperature).to_have_value("0.7")
    await chat.set("temperature", 0.3)
    await system.fill("Be brief.")
    stored = "JSON.parse(localStorage.getItem('chat-settings') || '{}')"
    await page.wait_for_function(f"{stored}['system-prompt'] === 'Be brief.' && {stored}.temperature === 0.3")
    await page.locator("#toggle-settings").click()
    await expect(panel).not_to_be_visible()
    await page.locator("#switch-look").click()
    await page.locator("#language").get_by_text("中文").click()
    await expect(page.locator(".chats-new")).to_have_text("＋ 新对话")
    await page.reload()
    await expect(page.locator(".chats-new")).to_have_text("＋ 新对话")
    await expect(page.locator("body.dark")).to_have_count(1)
    await expect(chat.meter).not_to_be_empty()
    await expect(panel).not_to_be_visible()
    await page.locator("#toggle-settings").click()
    await expect(panel).to_be_visible()
    await expect(system).to_have_value("Be brief.")
    await expect(temperature).to_have_value("0.3")


async def test_an_empty_field_is_empty_after_a_reload(roomy: str, open_chat: OpenChat) -> None:
    """And not what a script calls nothing."""
    page = (await open_chat(roomy)).page
    await page.reload()
    for tab, empty in (("compare", FIELDS["compare"][1:]), ("files", FIELDS["files"])):
        await open_tab(page, tab)
        for field in empty:
            await expect(page.locator(field)).to_be_visible()
            await expect(page.locator(field)).to_have_value("")
    await open_tab(page, "chat")
    await page.reload()
    await open_tab(page, "compare")
    await expect(page.locator("#compare-left-system textarea")).to_have_value("")
    assert not await page.evaluate("sessionStorage.keys().filter((key) => key.startsWith('field:'))")


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


@pytest.mark.slow
async def test_a_killed_server_takes_neither_half_an_answer_nor_what_waits_behind_it(
    builtin_dir: Path, tmp_path: Path, open_chat: OpenChat
) -> None:
    """One story: to start the app again takes longer than all that is looked at."""
    settings = {"models_dir": builtin_dir.parent, "context": 4096, "users": 1}
    processes: list[int] = []
    with running_app(tmp_path / "log", processes=processes, **settings) as url:
        chat, temporary = await open_chat(url), await open_chat(url)
        await temporary.page.locator(".chats-temporary").click()
        await expect(temporary.page.locator("body.temporary-chat")).to_be_attached()
        await temporary.ask("Say hello.")
        await begin_to_count(chat)
        await expect(chat.answers.first).to_contain_text("20, 21, 22")
        for number, message in enumerate(("first that waits", "second that waits"), 1):
            await chat.send(message)
            await expect(chat.page.locator("#chat-waiting .waiting-message")).to_have_count(number)
        await chat.composer.fill("and a draft")
        await chat.page.wait_for_timeout(1500)  # what was written until then is on the disk
        os.kill(processes[0], signal.SIGKILL)
        await expect(chat.page.locator(".server-lost")).to_contain_text("messages that wait to be sent are kept")
        await expect(temporary.page.locator(".server-lost")).to_contain_text("saved nowhere")
    with running_app(tmp_path / "log", port=int(url.rpartition(":")[2]), **settings):
        answer, draft = chat.answers.first, "first that waits\nsecond that waits\nand a draft"
        await expect(answer.locator(".run-line")).to_contain_text("Interrupted by a restart")
        await expect(answer).to_contain_text("20, 21, 22")
        await expect(chat.page.locator(".server-lost")).to_have_count(0)
        await expect(chat.composer).to_have_value(draft)
        await expect(temporary.page.locator(".server-lost")).to_contain_text("has begun anew")
        await expect(temporary.questions).to_have_count(1)
        await chat.page.reload()
        await expect(chat.composer).to_have_value(draft)


async def begin_to_count(chat: ChatPage) -> None:
    """An answer of the built-in model that ends with its limit alone: it is greedy, and counts."""
    await chat.set("temperature", 0)
    await chat.set("max-tokens", 3500)
    await chat.send("List all numbers from 1 to 900, separated by commas.")
