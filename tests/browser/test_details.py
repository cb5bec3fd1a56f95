"""Small things that make the page quick to use: keys, palette, code blocks, touch, languages, settings that fold."""

from __future__ import annotations

import httpx
import pytest
from playwright.async_api import Browser, expect

from qwen_app.testing.scripted_engine import ScriptedEngine
from tests.browser.chat_page import ChatPage
from tests.browser.conftest import OpenChat
from tests.browser.serving import running_page

pytestmark = pytest.mark.anyio
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
CHINESE = {"locale": "zh-CN"}


async def test_a_chat_from_right_to_left_and_on_paper(scripted: str, open_chat: OpenChat) -> None:
    chat = await open_chat(scripted)
    answer = await chat.ask("say: مرحبا بالعالم\n\n- عنصر")
    await expect(answer.locator("ul")).to_have_css("direction", "rtl")
    await expect(answer.locator(".md p").first).to_have_css("unicode-bidi", "plaintext")
    await chat.page.emulate_media(media="print")
    for pressed in ("#composer", "#chats-sidebar", "#settings-panel", "#header"):
        await expect(chat.page.locator(pressed)).to_be_hidden()
    await expect(answer.locator("ul")).to_be_visible()
    address = chat.page.url.replace("?chat=", "chats/") + "/export?as=html"
    exported = await (await chat.page.context.request.get(address)).text()
    page = await chat.page.context.new_page()
    await page.set_content(exported)
    for said in ("مرحبا", "عنصر"):
        await expect(page.get_by_text(said).last).to_have_css("unicode-bidi", "plaintext")


async def test_keys_lead_to_the_last_question_the_composer_the_list_of_them_and_the_palette(
    scripted: str, open_chat: OpenChat
) -> None:
    chat = await open_chat(scripted)
    await chat.ask("first *question*")
    await chat.composer.press("ArrowUp")
    await expect(chat.composer).to_have_value("first *question*")
    await chat.composer.fill("")
    await chat.page.locator("#about h1").click()
    await chat.composer.blur()
    await chat.page.keyboard.press("?")
    sheet = chat.page.get_by_role("dialog", name="Keyboard shortcuts")
    await expect(sheet.locator("kbd").first).to_be_visible()
    await chat.page.keyboard.press("Escape")
    await expect(sheet).to_have_count(0)
    await chat.page.keyboard.press("/")
    await expect(chat.composer).to_be_focused()
    await chat.page.keyboard.press("Control+k")
    palette = chat.page.get_by_role("dialog", name="What would you like to do?")
    await chat.page.keyboard.type("json")
    await expect(palette.get_by_role("button")).to_have_text(["JSON"])
    keyboard = await chat.page.context.new_cdp_session(chat.page)
    composing = {"type": "rawKeyDown", "key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 229}
    await keyboard.send("Input.dispatchKeyEvent", composing)  # confirms a word being composed
    await expect(palette.get_by_role("button")).to_have_text(["JSON"])
    await chat.page.keyboard.press("Enter")
    await expect(chat.page.locator("#schema")).to_be_visible()
    await expect(palette).to_have_count(0)


async def test_a_code_block_has_a_head_and_copies_code_alone(scripted: str, open_chat: OpenChat) -> None:
    chat = await open_chat(scripted, permissions=["clipboard-read", "clipboard-write"])
    answer = await chat.ask("say: ```python\nprint(1)\n```")
    await expect(answer.locator(".code-bar [data-name=python]")).to_be_visible()
    await answer.get_by_role("button", name="Wrap lines").click()
    assert await answer.locator("code").evaluate("code => getComputedStyle(code).whiteSpace") == "pre-wrap"
    async with chat.page.expect_download() as download:
        await answer.get_by_role("button", name="Download").click()
    assert (await download.value).suggested_filename == "answer.py"
    await answer.locator(".copy_code_button").click()
    assert await chat.page.evaluate("navigator.clipboard.readText()") == "print(1)"


async def test_the_run_card_unfolds(scripted: str, open_chat: OpenChat) -> None:
    chat = await open_chat(scripted)
    answer = await chat.ask("hello")
    card = answer.locator(".run-card")
    await expect(card.locator("dl")).not_to_be_visible()
    await card.locator("summary").click()
    await expect(card.locator("dl")).to_contain_text("Tokens written")
    await chat.send("talk slowly")
    await expect(chat.page.locator("#live-line .run-live")).to_contain_text("tokens/s")
    await expect(chat.page).to_have_title("… Chat with Qwen")
    await chat.page.keyboard.press("Escape")
    await expect(chat.page).to_have_title("Chat with Qwen")


def test_the_page_is_sent_compressed(scripted: str) -> None:
    assert httpx.get(scripted, trust_env=False).headers["content-encoding"] == "gzip"


async def test_who_wants_it_is_told_when_an_answer_is_done(scripted: str, open_chat: OpenChat) -> None:
    chat = await open_chat(scripted)
    await chat.page.evaluate(
        """() => {
          window.told = [];
          window.Notification = class { static permission = "granted"; constructor(_, { body }) { told.push(body); } };
        }"""
    )
    await chat.page.keyboard.press("Control+k")
    await chat.page.keyboard.type("tell me")
    await chat.page.keyboard.press("Enter")
    await expect(chat.page.get_by_role("dialog")).to_have_count(0)
    await chat.page.evaluate("Object.defineProperty(document, 'hidden', { value: true, configurable: true })")
    await chat.ask("hello")
    assert await chat.page.evaluate("told") == ["The answer is done."] * 2  # once as a sample
    await chat.page.evaluate("Object.defineProperty(document, 'hidden', { value: false })")
    await chat.ask("hello again")
    assert len(await chat.page.evaluate("told")) == 2


async def test_escape_for_something_else_leaves_the_answer_running(scripted: str, open_chat: OpenChat) -> None:
    chat = await open_chat(scripted)
    page = chat.page
    await chat.set("max-tokens", 1000)
    await chat.send("talk slowly")
    await expect(chat.stop).to_be_visible()
    await page.locator("#preset input").click()
    await expect(page.get_by_role("option").first).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("option")).to_have_count(0)
    search = page.get_by_role("searchbox")
    await search.fill("abc")
    await page.keyboard.press("Escape")
    await expect(search).to_have_value("")
    await page.get_by_role("tab", name="JSON").click()
    await page.locator("#schema .cm-content").click()
    await page.keyboard.press("Escape")
    await page.get_by_role("tab", name="Chat").click()
    await expect(chat.answers.last).to_contain_text("word word word")
    await expect(chat.stop).to_be_visible()
    await chat.composer.focus()
    await page.keyboard.press("Escape")
    await expect((await chat.answered(1)).locator(".run-line")).to_contain_text("Stopped")


REFUSED = """for (const name of ["localStorage", "sessionStorage"]) {
  const get = () => { throw new DOMException("no", "SecurityError"); };
  Object.defineProperty(window, name, { get, configurable: true });
}"""
FULL = 'Storage.prototype.setItem = () => { throw new DOMException("full", "QuotaExceededError"); };'


@pytest.mark.parametrize("store", [REFUSED, FULL], ids=["refused", "full"])
async def test_a_browser_that_keeps_nothing_has_the_whole_page(scripted: str, browser: Browser, store: str) -> None:
    context = await browser.new_context(locale="en-US", viewport={"width": 1440, "height": 900})
    await context.add_init_script(store)
    page, failed = await context.new_page(), []
    page.on("pageerror", lambda error: failed.append(str(error)))
    chat = await ChatPage(page).open(scripted)
    await chat.ask("hello")
    await chat.composer.fill("a draft")
    await page.locator(".chats-new").click()
    await expect(chat.composer).to_have_value("")
    await page.locator(".chats-title").first.click()
    await expect(chat.composer).to_have_value("a draft")
    await page.locator("#switch-look").click()
    await expect(page.locator("body.dark")).to_have_count(1)
    await page.locator("#toggle-settings").click()
    await expect(page.locator("#settings-panel")).not_to_be_visible()
    assert failed == []
    await context.close()


@pytest.mark.parametrize("locale", ["en-US", "zh-CN"])
async def test_the_title_of_who_is_logged_in_is_whole_or_read_out_alone(browser: Browser, locale: str) -> None:
    with running_page(ScriptedEngine(), auth="ada:secret") as url:
        context = await browser.new_context(locale=locale, has_touch=True)
        await context.request.post(f"{url}/login", form={"username": "ada", "password": "secret"})
        chat = await ChatPage(await context.new_page()).open(url)
        await expect(chat.page.locator("#sign-out button")).to_be_visible()
        title = chat.page.locator("#about h1")
        for width in (320, 360, 412, 520, 540):
            await chat.page.set_viewport_size({"width": width, "height": 640})
            assert await title.evaluate("title => title.clientWidth === 1 || title.scrollWidth <= title.clientWidth")
        await context.close()


async def test_a_number_that_cannot_be_becomes_one_that_can_and_is_no_error(scripted: str, open_chat: OpenChat) -> None:
    """Nor does an emptied field become the least there is."""
    page = (await open_chat(scripted, **CHINESE)).page
    temperature, context = (page.locator(f"#{name} input[type=number]") for name in ("temperature", "context-tokens"))
    before = await context.input_value()
    for typed, became in (("99", "2"), ("-1", "0"), ("", "0"), ("0.4", "0.4"), ("", "0.4")):
        await temperature.fill(typed)
        await temperature.blur()
        await expect(temperature).to_have_value(became)
    for typed, became in (("", before), ("12", "256"), ("300", "300")):
        await context.fill(typed)
        await context.blur()
        await expect(context).to_have_value(became)
    await expect(page.locator("#meter")).to_contain_text("300")
    await expect(page.locator(".toast-body")).to_have_count(0)
