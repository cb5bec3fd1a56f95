"""Languages, narrow screens, the login, and text that would like to be more than text."""

from __future__ import annotations

import anyio
import pytest
from playwright.async_api import Browser, Page, Request, expect

from qwen_app.testing.scripted_engine import ScriptedEngine
from tests.browser.chat_page import ChatPage, hold_requests
from tests.browser.conftest import OpenChat
from tests.browser.serving import running_page

pytestmark = pytest.mark.anyio


async def test_the_language_chosen_last_stays(scripted: str, open_chat: OpenChat) -> None:
    """Be it while the page asks for the visitor's, or back and forth; and the page comes to rest."""
    chat = await open_chat(scripted)
    go = await hold_requests(chat.page, "**/gradio_api/run/predict*")
    await chat.page.reload()
    await chat.page.locator("#language").get_by_text("中文").click()
    go.set()
    await quiet(chat.page)
    await expect(chat.page.locator("html")).to_have_attribute("lang", "zh-CN")
    await expect(chat.page.locator(".chats-new")).to_have_text("＋ 新对话")
    await expect(chat.page.get_by_role("radio", name="中文")).to_be_checked()
    await expect(chat.page.locator("#about h1")).to_have_text("与 Qwen 对话")
    await chat.ask("hello")
    await expect(chat.runs.first).to_contain_text("已完成")
    go = await hold_requests(chat.page, "**/gradio_api/queue/join*")
    for language in ("EN", "中文", "EN"):
        await chat.page.locator("#language").get_by_text(language).click()
    go.set()
    await quiet(chat.page)
    await expect(chat.page.locator(".chats-new")).to_have_text("＋ New chat")
    await expect(chat.meter).to_contain_text("tokens")
    await expect(chat.runs.first).to_contain_text("Finished")
    await expect(chat.answers.first).to_contain_text("You said: hello")


async def quiet(page: Page, still_s: float = 1.0) -> None:
    """Until the page asks the server for nothing more."""
    asked = list[Request]()
    page.on("request", lambda request: asked.append(request))
    with anyio.fail_after(30):
        while True:
            before = len(asked)
            await anyio.sleep(still_s)
            if len(asked) == before:
                return


async def test_copying_works_without_https(scripted: str, browser: Browser) -> None:
    context = await browser.new_context(permissions=["clipboard-read", "clipboard-write"])
    page = await context.new_page()
    hide = "Object.defineProperty(navigator, 'clipboard', {value: undefined, configurable: true})"
    await page.add_init_script(hide)  # what browsers do on plain http
    chat = await ChatPage(page).open(scripted)
    await chat.ask("say: Use <b> for bold.")
    await chat.button("Copy message")
    await chat.composer.focus()
    await page.keyboard.press("Control+V")
    await expect(chat.composer).to_have_value("Use <b> for bold.")
    await page.locator("#chats-panel .chats-more").click()
    await page.get_by_role("menuitem", name="Share").click()
    dialog = page.locator("dialog.chats-share")
    await dialog.locator(".primary").click()
    link = dialog.locator(".chats-link input")
    address = await link.input_value()
    copy = dialog.locator(".chats-link button")
    await copy.click()
    await expect(copy).to_have_text("Copied")
    await expect(copy).to_be_focused()
    await page.keyboard.press("Escape")
    await chat.composer.fill("")
    await chat.composer.press("Control+V")
    await expect(chat.composer).to_have_value(address)
    await context.close()


async def test_the_login_lets_in_who_knows_the_password(browser: Browser) -> None:
    engine = ScriptedEngine()
    with running_page(engine, auth="ada:secret") as url:
        context = await browser.new_context()
        page = await context.new_page()
        await page.goto(url)
        await page.get_by_label("Name").fill("ada")
        await page.get_by_label("Password").fill("wrong")
        await page.get_by_role("button").click()
        await expect(page.get_by_role("alert")).to_contain_text("Wrong name or password")
        await expect(page.get_by_label("Name")).to_have_value("ada")
        await expect(page.get_by_label("Password")).to_be_focused()
        await page.get_by_label("Password").fill("secret")
        await page.get_by_role("button").click()
        chat = ChatPage(page)
        await expect(chat.meter).not_to_be_empty()
        await expect(page.locator("#sign-out")).to_contain_text("ada")
        await chat.ask("hello")
        assert engine.requests[-1].user == "ada"
        await context.close()


async def test_there_is_one_button_for_a_new_chat(scripted: str, open_chat: OpenChat) -> None:
    chat = await open_chat(scripted)
    top, of_the_list = chat.page.locator("#new-chat"), chat.page.locator(".chats-new")
    await expect(of_the_list).to_be_visible()
    await expect(top).not_to_be_visible()
    await chat.page.locator("#chats-sidebar > .toggle-button").click()
    await expect(top).to_be_visible()
    await expect(of_the_list).not_to_be_in_viewport()
