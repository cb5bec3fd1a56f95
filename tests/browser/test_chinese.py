"""The Chinese page says nothing in English, whatever it shows."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from tests.browser.chat_page import open_tab
from tests.browser.conftest import OpenChat

pytestmark = pytest.mark.anyio
TABS = ("chat", "json-lab", "tools", "compare", "files", "scenarios", "performance", "status", "presenting")
# Texts and names of elements that are seen, outside of what is code or a name: words of three letters and more.
SEEN = """() => {
  const found = new Set();
  const note = (text) => (text.match(/[A-Za-z][A-Za-z.-]{2,}/g) ?? []).forEach((word) => found.add(word));
  const seen = (element) => element?.checkVisibility({ visibilityProperty: true, opacityProperty: true });
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const holder = walker.currentNode.parentElement;
    const isCode = holder?.closest("script, style, code, pre, .cm-editor, .model, #language");
    if (seen(holder) && !isCode) note(walker.currentNode.textContent);
  }
  for (const element of document.querySelectorAll("[title], [aria-label], [placeholder]")) {
    if (!seen(element) || element.closest(".cm-editor, .model, #language, #ready-tools")) continue;
    for (const name of ["title", "aria-label", "placeholder"]) note(element.getAttribute(name) ?? "");
  }
  return [...found].sort();
}"""
NAMES = {"API", "CSV", "Ctrl", "Cookie", "Enter", "Esc", "GPU", "HTML", "JSON", "Markdown", "OpenAI", "Python", "Qwen"}
NAMES |= {"Schema", "Shift", "Top-k", "Top-p", "Min-p"}
NAMES |= {"say", "Shanghai", "pandas", "scripted", "cpu"}  # typed here, in a sample, the model and its device


async def english(page: Page) -> set[str]:
    return set(await page.evaluate(SEEN)) - NAMES


async def test_no_tab_has_english_words(roomy: str, open_chat: OpenChat) -> None:
    chat = await open_chat(roomy, locale="zh-CN")
    await chat.ask("say: 完成。")
    found: dict[str, set[str]] = {}
    for tab in TABS:
        await open_tab(chat.page, tab)
        await chat.page.wait_for_timeout(500)
        found |= {tab: words} if (words := await english(chat.page)) else {}
    assert found == {}
    await chat.page.locator(".chats-more").first.click()
    await chat.page.get_by_text("分享链接").click()
    await chat.page.get_by_role("button", name="生成链接").click()
    until = chat.page.locator(".chats-share li").first
    await expect(until).to_have_text(re.compile(r"^\d{4}年\d+月\d+日 \d\d:\d\d撤回$"))  # as guests' ends are told


SCHEMA = '{"type": "integer"}'
NO_SCHEMAS = (
    *("", "[]", "nope", '{"a": NaN}', '{"type": "整数"}', '{"not": {}}', "[" * 3000),
    '{"type": "string", "pattern": "("}',
)


async def test_what_is_wrong_with_a_schema_is_said_in_chinese(roomy: str, open_chat: OpenChat) -> None:
    page = (await open_chat(roomy, locale="zh-CN")).page
    await open_tab(page, "json-lab")
    found: dict[str, set[str]] = {}
    for schema in NO_SCHEMAS:
        for text, faults in ((SCHEMA, 0), (schema, 1)):
            await page.locator("#schema .cm-content").click()
            await page.keyboard.press("Control+A")
            await page.keyboard.insert_text(text) if text else await page.keyboard.press("Delete")
            await expect(page.locator("#schema-check .bad")).to_have_count(faults)
        if words := await english(page) - {"not", "NaN", "defs"}:
            found[schema] = words
    assert found == {}


async def test_the_choice_of_calls_is_chinese_after_a_reload_with_definitions_that_cannot_be_read(
    roomy: str, open_chat: OpenChat
) -> None:
    page = (await open_chat(roomy, locale="zh-CN")).page
    await open_tab(page, "tools")
    await expect(page.locator("#tool-choice input")).to_have_value(re.compile("^调用 "))
    await page.locator("#definitions .cm-content").click()
    await page.keyboard.press("Control+A")
    await page.keyboard.insert_text('[{"type"')
    await expect(page.locator("#definitions-check .bad")).to_be_visible()
    await page.wait_for_function("sessionStorage.getItem('field:definitions')")
    await page.reload()
    await open_tab(page, "tools")
    await expect(page.locator("#definitions-check .bad")).to_be_visible()
    await expect(page.locator("#tool-choice input")).to_have_value(re.compile("^调用 "))


async def test_a_file_that_is_no_chat_is_refused_in_chinese(roomy: str, open_chat: OpenChat, tmp_path: Path) -> None:
    page = (await open_chat(roomy, locale="zh-CN")).page
    for name, text in {"nested": "[" * 1_000_000, "values": json.dumps([0] * 2_000_000), "none": "{}"}.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
        async with page.expect_file_chooser() as choosing:
            await page.locator(".chats-foot button").first.click()
        await (await choosing.value).set_files(tmp_path / name)
        await expect(page.locator(".chats-said span")).to_contain_text("此文件不是从这里")
        assert await english(page) == set(), name
        await page.reload()
