"""The page on a phone: narrow or on its side, under a finger."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import expect

from tests.browser.chat_page import ChatPage, open_tab
from tests.browser.conftest import OpenChat

pytestmark = pytest.mark.anyio
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}


async def the_title_is_whole_on_the_narrowest(chat: ChatPage) -> None:
    title = chat.page.locator("#about h1")
    await chat.page.set_viewport_size({"width": 320, "height": 640})
    for language, said in (("中文", "与 Qwen 对话"), ("EN", "Chat with Qwen")):
        await chat.page.locator("#language").get_by_text(language).click()
        await expect(title).to_have_text(said)
        assert await title.evaluate("title => title.scrollWidth <= title.clientWidth")


async def on_its_side_it_shows_the_composer_at_once(chat: ChatPage) -> None:
    await chat.page.set_viewport_size({"width": 844, "height": 390})
    await expect(chat.composer).to_be_in_viewport(ratio=1)
    await chat.ask("say: hello")
    box, composer = await chat.answers.first.bounding_box(), await chat.composer.bounding_box()
    assert box is not None
    assert composer is not None
    assert box["y"] < composer["y"]  # then in its usual place


async def return_is_a_new_line_under_a_finger(chat: ChatPage) -> None:
    await chat.page.set_viewport_size({"width": 390, "height": 844})
    await chat.composer.fill("one")
    await chat.composer.press("Enter")
    await chat.composer.press_sequentially("two")
    await expect(chat.composer).to_have_value("one\ntwo")
    assert await chat.composer.evaluate("area => getComputedStyle(area).fontSize") == "16px"
    await chat.page.locator("#composer .submit-button").tap()
    await expect(await chat.answered(2)).to_contain_text("You said: one")


async def the_settings_drawer_is_a_dialog_that_a_touch_beside_it_closes(chat: ChatPage) -> None:
    panel, toggle = chat.page.locator("#settings-panel"), chat.page.locator("#toggle-settings")
    await expect(panel).not_to_be_visible()
    await toggle.click()
    await expect(panel).to_be_in_viewport()
    await expect(chat.page.get_by_role("dialog", name="Settings")).to_be_visible()
    await chat.page.mouse.click(20, 400)
    await expect(panel).not_to_be_visible()
    await expect(toggle).to_be_focused()
    await toggle.click()
    await chat.page.locator("#close-settings").click()
    await expect(panel).not_to_be_visible()


async def escape_closes_a_list_before_the_drawer_it_is_in(chat: ChatPage) -> None:
    await chat.page.locator("#toggle-settings").click()
    await chat.page.locator("#preset input").click()
    await expect(chat.page.get_by_role("option").first).to_be_visible()
    await chat.page.keyboard.press("Escape")
    await expect(chat.page.get_by_role("option")).to_have_count(0)
    await expect(chat.page.locator("#chat-row")).to_have_class(re.compile("settings-open"))
    await chat.page.keyboard.press("Escape")
    await expect(chat.page.locator("#settings-panel")).not_to_be_visible()


async def it_scrolls_one_way_only(chat: ChatPage) -> None:
    await chat.ask("say: " + "longwordwithoutspaces" * 10 + "\n\n```\n" + "code " * 60 + "\n```")
    assert await chat.page.evaluate("document.documentElement.scrollWidth <= innerWidth")


async def sliders_side_by_side_are_level_whatever_their_names(chat: ChatPage) -> None:
    await open_tab(chat.page, "json-lab")
    fields = chat.page.locator("#json-lab-tab .sliders input[type=number]")
    await expect(fields.first).to_be_visible()
    level = "(fields) => fields.map((field) => Math.round(field.getBoundingClientRect().top))"
    first, second = await fields.evaluate_all(level)
    assert first == second


async def test_a_phone_has_the_whole_page(scripted: str, open_chat: OpenChat, subtests: pytest.Subtests) -> None:
    chat = await open_chat(scripted, **PHONE)
    await expect(chat.composer).not_to_be_focused()
    for promise in (
        the_title_is_whole_on_the_narrowest,
        on_its_side_it_shows_the_composer_at_once,
        return_is_a_new_line_under_a_finger,
        the_settings_drawer_is_a_dialog_that_a_touch_beside_it_closes,
        escape_closes_a_list_before_the_drawer_it_is_in,
        it_scrolls_one_way_only,
        sliders_side_by_side_are_level_whatever_their_names,
    ):
        with subtests.test(promise.__name__):
            await promise(chat)
