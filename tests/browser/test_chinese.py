"""The Chinese page says nothing in English, whatever it shows."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from playwright.async_api import Page, Route, expect

from tests.browser.chat_page import open_tab
from tests.browser.conftest import OpenChat

pytestmark = pytest.mark.anyio
TABS = ("chat", "json-lab", "tools", "compare", "files", "scenarios", "performance", "status", "presenting")
# Texts and names of elements that are seen, outside of what is code or a name: words of three letters and more.
SEEN = """() => {
  const found = new Set();
  const note = (text) => (text.match(/[A-Za-z][A-Za-z.-]{2,}/g) ?? []).forEach((word) => found.add(word));
  const seen = (element) => element?.checkVisibility({ visibilityProperty: true, opacityProperty: true });
  note(document.title);
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
NAMES |= {"English", "JavaScript", "curl"}


async def english(page: Page) -> set[str]:
    return set(await page.evaluate(SEEN)) - NAMES


# Titles that are seen while the page comes about.
TITLES = """window.titles = new Set();
const look = () => {
  const [title, tab] = ["#about h1", "#tabs [role=tab]"].map((selector) => document.querySelector(selector));
  for (const said of [title, tab]) {
    if (said?.checkVisibility({visibilityProperty: true})) window.titles.add(said.textContent.trim());
  }
  requestAnimationFrame(look);
};
look();"""


async def test_a_chinese_browser_gets_a_chinese_page_from_the_first_moment(roomy: str, open_chat: OpenChat) -> None:
    chat = await open_chat(roomy, script=TITLES, locale="zh-Hans-CN")
    page = chat.page
    await expect(page.locator(".chats-new")).to_have_text("＋ 新对话")
    await expect(chat.composer).to_have_attribute("placeholder", "想问点什么？")
    await expect(page.locator("#ai-notice")).to_contain_text("仅供参考")
    await expect(chat.meter).to_contain_text("个词元")
    await expect(page.locator("html")).to_have_attribute("lang", "zh-CN")
    await expect(page.locator("#about h1")).to_be_visible()
    await expect(page.get_by_role("tab").first).to_be_visible()
    assert set(await page.evaluate("[...window.titles]")) <= {"与 Qwen 对话", "对话"}


async def test_answers_and_refusals_speak_the_visitors_language(roomy: str, open_chat: OpenChat) -> None:
    chat = await open_chat(roomy, locale="zh-TW")
    page = chat.page
    await chat.composer.fill("talk slowly")
    await page.get_by_role("button", name="发送", exact=True).click()
    await page.get_by_role("button", name="停止", exact=True).click()
    await chat.answered(1)
    answer = await chat.ask("please break")
    await expect(answer.locator(".run-error")).to_contain_text("已生成的内容已保留")
    await expect(answer.locator(".run-line")).to_contain_text("失败")

    async def refuse(route: Route) -> None:
        sentence = "You have 64 tabs of this page open, all in use. Close some of them first."
        await route.fulfill(status=429, json={"detail": sentence, "error": sentence})

    await page.route("**/gradio_api/queue/join*", refuse)
    await chat.send("hello")
    told = "你已打开 64 个标签页，且都在使用中。请先关闭一些。"
    await expect(page.get_by_test_id("toast-text").first).to_have_text(told)
    await expect(page.locator(".toast-title-row").first).to_contain_text("出错了")


SCHEMA = '{"type": "integer"}'
NO_SCHEMAS = (
    *("", "[]", "nope", '{"a": NaN}', '{"type": "整数"}', '{"not": {}}', "[" * 3000),
    '{"type": "string", "pattern": "("}',
)
NO_CHATS = {"nested": "[" * 1_000_000, "values": json.dumps([0] * 2_000_000), "none": "{}"}


async def test_no_tab_has_english_words(roomy: str, open_chat: OpenChat, subtests: pytest.Subtests) -> None:
    chat = await open_chat(roomy, locale="zh-CN")
    page = chat.page
    await chat.ask("say: 完成。\n\n```\nx\n```")
    for tab in TABS:
        await open_tab(page, tab)
        await page.wait_for_timeout(500)
        with subtests.test(tab):
            assert await english(page) == set()
    await open_tab(page, "chat")
    await page.keyboard.press("Control+k")
    with subtests.test("palette"):
        assert await english(page) == set()
    await page.keyboard.press("Escape")
    await page.locator("#chat-use-code").click()
    await expect(page.locator(".code-dialog .cm-content")).to_be_visible()
    with subtests.test("code"):
        assert await english(page) == set()
    await page.keyboard.press("Escape")
    await page.locator(".chats-more").first.click()
    await page.get_by_text("分享链接").click()
    await page.get_by_role("button", name="生成链接").click()
    until = page.locator(".chats-share li").first
    await expect(until).to_have_text(re.compile(r"^\d{4}年\d+月\d+日 \d\d:\d\d撤回$"))  # as guests' ends are told


async def test_what_is_wrong_with_a_schema_or_a_file_is_said_in_chinese(
    roomy: str, open_chat: OpenChat, tmp_path: Path
) -> None:
    page = (await open_chat(roomy, locale="zh")).page
    found: dict[str, set[str]] = {}
    for name, text in NO_CHATS.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
        async with page.expect_file_chooser() as choosing:
            await page.get_by_role("button", name="导入").first.click()
        await (await choosing.value).set_files(tmp_path / name)
        await expect(page.locator(".chats-said")).to_contain_text("此文件不是从这里")
        found[name] = await english(page)
        await page.locator(".chats-said").evaluate("said => said.replaceChildren()")
    await open_tab(page, "json-lab")
    await expect(page.get_by_label("代码编辑框").first).to_be_attached()
    await expect(page.get_by_label("Code input container")).to_have_count(0)
    for schema in NO_SCHEMAS:
        for text, faults in ((SCHEMA, 0), (schema, 1)):
            await page.locator("#schema .cm-content").click()
            await page.keyboard.press("Control+A")
            await page.keyboard.insert_text(text) if text else await page.keyboard.press("Delete")
            await expect(page.locator("#schema-check .bad")).to_have_count(faults)
        found[schema] = await english(page) - {"not", "NaN", "defs"}
    assert {place: words for place, words in found.items() if words} == {}


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
