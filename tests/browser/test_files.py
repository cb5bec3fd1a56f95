"""The files tab in a real browser, on a scripted engine that cites what it is sent."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from qwen_app.testing.scripted_engine import Script, ScriptedEngine
from qwen_app.ui.files.picking import MOST_PICKED
from tests.browser.chat_page import open_tab
from tests.browser.conftest import OpenChat
from tests.browser.serving import running_page

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with running_page(ScriptedEngine(Script(("Two per cent ", "[1]", ", not [9].")))) as url:
        yield url


async def files_page(open_chat: OpenChat, url: str, **options: object) -> Page:
    page = (await open_chat(url, **options)).page
    await open_tab(page, "files")
    return page


async def add(page: Page, *files: Path) -> None:
    async with page.expect_file_chooser() as choosing:
        await page.locator("#files-add").click()
    await (await choosing.value).set_files(files)


async def ask(page: Page, question: str) -> None:
    await page.locator("#files-question textarea").fill(question)
    await page.locator("#files-ask").click()


async def test_files_are_asked_and_a_footnote_opens_its_passage(
    address: str, open_chat: OpenChat, tmp_path: Path
) -> None:
    page = await files_page(open_chat, address)
    contract, archive = tmp_path / "contract.txt", tmp_path / "a.zip"
    contract.write_text("A late payment costs two per cent a month.", encoding="utf-8")
    archive.write_bytes(b"PK\x03\x04 and more")
    await add(page, contract, archive)
    await expect(page.locator("#files-told")).to_contain_text("contract.txt can be asked now.")
    await expect(page.locator("#files-told .bad")).to_contain_text("a.zip")
    await ask(page, "What does a late payment cost?")
    await expect(page.locator("#files-answer sup")).to_have_text("[1]")
    await expect(page.locator("#files-answer")).not_to_contain_text("[9]")
    passage = page.locator("#files-sources details")
    await expect(passage.locator("pre")).to_be_hidden()
    await page.locator("#files-answer sup").click()
    await expect(passage.locator("pre")).to_have_text("A late payment costs two per cent a month.")
    await ask(page, "Where do zebras live?")
    await expect(page.locator("#files-state")).to_contain_text("Not in your files")
    other = await files_page(open_chat, address)
    await expect(other.locator("#files-list input")).to_have_count(0)
    await page.reload()
    await open_tab(page, "files")
    await page.get_by_label("contract.txt").check()
    await page.locator("#files-remove").click()
    await expect(page.locator("#files-told")).to_contain_text("Files removed: 1.")
    await expect(page.locator("#files-list input")).to_have_count(0)


async def test_a_collection_is_deleted_only_once_that_is_confirmed(
    address: str, open_chat: OpenChat, tmp_path: Path
) -> None:
    page = await files_page(open_chat, address)
    told, listed = page.locator("#files-told"), page.locator("#files-list input")
    contract = tmp_path / "contract.txt"
    contract.write_text("A late payment costs two per cent a month.", encoding="utf-8")
    await page.locator("#files-drop").click()
    await expect(told).to_contain_text("no collection to delete")
    await add(page, contract)
    await expect(listed).to_have_count(1)
    await page.locator("#files-remove").click()
    await expect(told).to_contain_text("Tick the files to remove first.")
    await page.locator("#files-drop").click()
    await expect(page.locator("#files-sure")).to_contain_text("Delete the collection “files” with 1 file?")
    await page.locator("#files-drop-no").click()
    await expect(page.locator("#files-sure")).to_be_hidden()
    await expect(listed).to_have_count(1)
    await page.locator("#files-drop").click()
    ink = "(element) => getComputedStyle(element).color"
    sure, kept = page.locator("#files-drop-yes"), page.locator("#files-drop-no")
    assert await sure.evaluate(ink) != await kept.evaluate(ink)  # what cannot be undone is marked
    await sure.click()
    await expect(told).to_contain_text("The collection “files” is deleted.")
    await expect(listed).to_have_count(0)


async def test_more_files_than_are_taken_at_once_are_counted(address: str, open_chat: OpenChat, tmp_path: Path) -> None:
    page = await files_page(open_chat, address)
    several = [tmp_path / f"{number}.txt" for number in range(MOST_PICKED + 1)]
    for file in several:
        file.write_text(f"This is {file.name}.", encoding="utf-8")
    await add(page, *several)
    await expect(page.locator("#files-told .bad")).to_have_text(re.compile("1 file left out"))
    await expect(page.locator("#files-list input")).to_have_count(MOST_PICKED)


async def test_in_chinese(address: str, open_chat: OpenChat, tmp_path: Path) -> None:
    page = await files_page(open_chat, address, locale="zh-CN")
    contract = tmp_path / "合同.txt"
    contract.write_text("本合同的违约金为合同总额的百分之五。", encoding="utf-8")
    await add(page, contract)
    await expect(page.locator("#files-told")).to_contain_text("合同.txt 已可提问。")
    await ask(page, "违约金是多少？")
    await expect(page.locator("#files-sources h3")).to_have_text("引用的段落")
    await expect(page.locator("#files-sources details")).to_contain_text("违约金")


@pytest.mark.parametrize("locale", ["en-US", "zh-CN"])
async def test_its_address_opens_it_where_its_button_is_folded_away(
    address: str, open_chat: OpenChat, locale: str
) -> None:
    """On a phone the tabs that have no room are entries of a menu."""
    page = (await open_chat(f"{address}/#files", locale=locale, viewport={"width": 390, "height": 800})).page
    await expect(page.locator("#files-question")).to_be_visible()
    await expect(page.locator("#composer")).to_be_hidden()
    await page.locator("#chat-tab-button").click()
    await expect(page).to_have_url(f"{address}/")
    await page.evaluate("location.hash = 'tools'")
    await expect(page.locator("#tools-prompt")).to_be_visible()
    await page.go_back()
    await page.go_back()
    await expect(page.locator("#files-question")).to_be_visible()
