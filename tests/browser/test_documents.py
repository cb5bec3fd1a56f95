"""Documents in a real browser: by button, by drop and by paste, with pages chosen, cited, kept, and refused."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.async_api import Locator, Page, expect

from qwen_app.messages import GenerationRequest
from qwen_app.testing.scripted_engine import Script, ScriptedEngine
from tests.browser.chat_page import hold_requests, open_tab
from tests.browser.conftest import OpenChat
from tests.browser.serving import running_page
from tests.documents import files

pytestmark = pytest.mark.anyio

BOOK = files.pdf([f"The code of chapter {number} is {number * 11}." for number in range(1, 101)])
GIVE = """([name, data, how]) => {
  const bytes = Uint8Array.from(atob(data), (sign) => sign.charCodeAt(0));
  const carried = new DataTransfer();
  carried.items.add(new File([bytes], name));
  const target = document.querySelector("#composer textarea");
  const options = { bubbles: true, cancelable: true };
  if (how === "paste") target.dispatchEvent(new ClipboardEvent("paste", { ...options, clipboardData: carried }));
  else for (const kind of ["dragenter", "dragover", "drop"])
    target.dispatchEvent(new DragEvent(kind, { ...options, dataTransfer: carried }));
}"""


def read_aloud(request: GenerationRequest) -> Script:
    """What a model that reads would say: the page on which the asked chapter's code stands."""
    prompt = request.messages[-1].content
    wanted = re.search(r"chapter (\d+)\?", prompt)
    found = re.search(rf"\[page (\d+)\]\nThe code of chapter {wanted[1]} is (\d+)", prompt) if wanted else None
    return Script((f"It is {found[2]}, see [page {found[1]}].",) if found else ("I ", "see ", "no ", "such ", "page."))


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    # room for the book in bytes, which are this engine's tokens: the page sends nothing that it has none for
    with running_page(ScriptedEngine(read_aloud, context_tokens=8192), chat_titles=False) as url:
        yield url


async def give(page: Page, name: str, data: bytes, how: str = "drop") -> None:
    await page.evaluate(GIVE, [name, base64.b64encode(data).decode(), how])


def chip(page: Page) -> Locator:
    return page.locator("#documents li")


async def test_a_hundred_pages_are_dropped_asked_and_cited(address: str, open_chat: OpenChat) -> None:
    chat = await open_chat(address)
    await give(chat.page, "book.pdf", BOOK)
    await expect(chip(chat.page)).to_contain_text("book.pdf")
    await expect(chip(chat.page)).to_contain_text("100 pages")
    await expect(chip(chat.page)).to_contain_text("tokens")
    await expect(chat.page.locator("#composer .submit-button")).to_be_enabled()  # a moment later
    answer = await chat.ask("What is the code of chapter 42?")
    await expect(answer).to_contain_text("It is 462, see [page 42].")
    await expect(chip(chat.page)).to_have_count(0)
    await expect(chat.questions.first.locator(".document-chip")).to_contain_text("book.pdf · 100 pages")
    await chat.page.reload()
    await expect(chat.questions.first.locator(".document-chip")).to_contain_text("book.pdf · 100 pages")
    again = await chat.ask("And of chapter 7?")
    await expect(again.locator(".run-line")).to_be_visible()


async def test_a_question_waits_for_the_document_that_is_being_read(address: str, open_chat: OpenChat) -> None:
    chat = await open_chat(address)
    go = await hold_requests(chat.page, "**/uploads/document")
    await give(chat.page, "book.pdf", BOOK)
    await expect(chat.page.locator(".documents-reading")).to_contain_text("book.pdf")
    await chat.composer.fill("What is the code of chapter 42?")
    await chat.composer.press("Enter")
    await expect(chat.page.locator("#composer .submit-button")).to_be_disabled()
    await expect(chat.questions).to_have_count(0)
    go.set()
    await expect(chip(chat.page)).to_contain_text("book.pdf")
    await expect(chat.page.locator("#composer .submit-button")).to_be_enabled()
    await chat.composer.press("Enter")
    await expect(await chat.answered(1)).to_contain_text("It is 462, see [page 42].")


async def test_by_button_only_the_pages_that_were_chosen_are_sent(
    address: str, open_chat: OpenChat, tmp_path: Path
) -> None:
    book = tmp_path / "book.pdf"
    book.write_bytes(BOOK)
    chat = await open_chat(address)
    async with chat.page.expect_file_chooser() as chooser:
        await chat.page.get_by_role("button", name="Add a document").click()
    await (await chooser.value).set_files(book)
    field = chip(chat.page).get_by_role("textbox")
    await field.fill("40-45")
    await field.press("Tab")
    await expect(chip(chat.page)).to_contain_text("only 40-45")
    await expect(await chat.ask("What is the code of chapter 41?")).to_contain_text("see [page 41]")
    await expect(chat.questions.first.locator(".document-chip")).to_contain_text("only 40-45")


async def test_a_question_waits_for_the_pages_that_were_chosen(address: str, open_chat: OpenChat) -> None:
    chat = await open_chat(address)
    await give(chat.page, "book.pdf", BOOK)
    await expect(chip(chat.page)).to_contain_text("100 pages")
    await chat.composer.fill("What is the code of chapter 41?")
    await expect(chat.page.locator("#composer .submit-button")).to_be_enabled()
    go = await hold_requests(chat.page, "**/gradio_api/queue/join*")
    await chip(chat.page).get_by_role("textbox").fill("40-45")
    await chat.composer.press("Enter")
    await expect(chat.page.locator("#composer .submit-button")).to_be_disabled()
    await expect(chat.questions).to_have_count(0)
    go.set()
    await expect(chip(chat.page)).to_contain_text("only 40-45")
    await expect(chat.page.locator("#composer .submit-button")).to_be_enabled()
    await chat.composer.press("Enter")
    await expect(chat.questions.first.locator(".document-chip")).to_contain_text("only 40-45")


async def test_what_is_pasted_and_too_long_is_told_with_numbers_and_ways_out(address: str, open_chat: OpenChat) -> None:
    chat = await open_chat(address)
    await give(chat.page, "long.txt", b"word " * 20_000, "paste")
    told = chat.page.locator(".documents-too-much")
    await expect(told).to_contain_text(re.compile(r"need [\d,]+ tokens, and [\d,]+ are free"))
    await expect(told).to_contain_text("only some pages")
    await expect(told).to_contain_text("knowledge base")
    await chat.send("What does it say?")
    await expect(chat.page.locator(".pending")).to_have_count(0)  # it was refused
    await expect(told).to_be_visible()
    await expect(chat.composer).to_have_value("What does it say?")
    await expect(chat.questions).to_have_count(0)
    await chat.page.get_by_role("button", name="Remove long.txt").click()
    await expect(chip(chat.page)).to_have_count(0)


async def test_chips_and_what_is_wrong_with_a_file_are_said_in_the_language_that_is_chosen(
    address: str, open_chat: OpenChat
) -> None:
    chat = await open_chat(address)
    notice = chat.page.locator("#notice .notice")
    await give(chat.page, "notes.txt", b"The code is 11.")
    await expect(chip(chat.page)).to_contain_text("tokens")
    await give(chat.page, "locked.pdf", files.pdf(["x"], encrypted=True))
    await expect(notice).to_have_text("locked.pdf is protected by a password. Save a copy without one, and send that.")
    await give(chat.page, "empty.txt", b"")
    await expect(notice).to_contain_text("has 0 bytes")
    await chat.page.locator("#language").get_by_text("中文").click()
    await expect(chat.page.get_by_role("button", name="添加文档")).to_be_visible()
    await give(chat.page, "scan.pdf", files.pdf([""] * 3, scanned=[1, 2, 3]))
    await expect(notice).to_contain_text("scan.pdf 是扫描件：3 页都是图片")
    await expect(chip(chat.page)).to_have_count(1)
    await expect(chip(chat.page)).to_contain_text("个词元")
    await expect(chip(chat.page)).not_to_contain_text("tokens")


async def test_what_is_beyond_the_most_is_left_out_at_once_and_said(
    address: str, open_chat: OpenChat, tmp_path: Path
) -> None:
    chat = await open_chat(address, locale="zh-CN")
    several = [tmp_path / f"{number}.txt" for number in range(11)]
    for file in several:
        file.write_text(f"This is {file.name}.", encoding="utf-8")
    async with chat.page.expect_file_chooser() as choosing:
        await chat.page.locator("#attach").click()
    await (await choosing.value).set_files(several)
    await expect(chat.page.locator("#notice")).to_contain_text("有 3 个文件未添加：一次最多 8 个。")
    await expect(chip(chat.page)).to_have_count(8)
    await expect(chat.page.locator("#composer .submit-button")).to_be_enabled(timeout=10_000)


async def test_a_refusal_that_says_the_same_as_the_last_is_heard_all_the_same(
    address: str, open_chat: OpenChat
) -> None:
    """Gradio leaves an element that says the same: whoever waited for another one waited half a minute."""
    chat = await open_chat(address)
    for name in ("a.txt", "b.txt"):
        await chat.page.route("**/uploads/document", lambda route: route.fulfill(json={"id": "nothing-of-that-id"}))
        await give(chat.page, name, b"This is kept no longer.")
        await expect(chat.page.locator("#notice")).to_contain_text("kept no longer")
        await expect(chat.page.locator(".documents-reading")).to_have_count(0, timeout=10_000)


PASTE = """(text) => {
  const carried = new DataTransfer();
  carried.setData("text/plain", text);
  const options = { bubbles: true, cancelable: true, clipboardData: carried };
  return document.querySelector("#composer textarea").dispatchEvent(new ClipboardEvent("paste", options));
}"""


async def test_a_text_that_no_field_is_quick_with_becomes_a_document_when_it_is_pasted(
    address: str, open_chat: OpenChat
) -> None:
    chat = await open_chat(address)
    assert await chat.page.evaluate(PASTE, "word " * 2_000), "the field takes it"
    assert not await chat.page.evaluate(PASTE, "word " * 50_000)
    await expect(chip(chat.page)).to_contain_text("Pasted text.txt")
    await expect(chat.composer).to_have_value("")


DROPPED_HERE = """(selector) => {
  const carried = new DataTransfer();
  carried.items.add(new File(["This is dropped."], "dropped.txt"));
  const options = { bubbles: true, cancelable: true, dataTransfer: carried };
  const target = document.querySelector(selector);
  return ["dragenter", "dragover", "drop"].map((kind) => target.dispatchEvent(new DragEvent(kind, options)));
}"""


async def test_a_file_dropped_on_another_tab_does_not_take_the_page_away(address: str, open_chat: OpenChat) -> None:
    page = (await open_chat(address)).page
    for tab, target in (("json-lab", "#json-lab-prompt"), ("tools", "#tools-prompt"), ("status", "body")):
        await open_tab(page, tab)
        assert (await page.evaluate(DROPPED_HERE, target))[1:] == [False, False], tab
    await open_tab(page, "files")
    await page.evaluate(DROPPED_HERE, "#files-list")
    await expect(page.locator("#files-told")).to_contain_text("dropped.txt can be asked now.")
    await expect(page.locator(".drop-here")).to_have_count(0)
