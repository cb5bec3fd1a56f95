"""Presets, the tasks of an empty chat, addresses of tabs, and links that bring a question."""

from __future__ import annotations

import json
import re
from pathlib import Path
from urllib.parse import quote

import pytest
from playwright.async_api import Download, expect

from qwen_app.testing.scripted_engine import ScriptedEngine
from tests.browser.conftest import OpenChat

pytestmark = pytest.mark.anyio

SLOWLY_MS = 200  # of each press: the second click of a double click comes when the first has been answered


async def test_a_preset_is_saved_kept_taken_out_and_brought_in(
    scripted: str, open_chat: OpenChat, tmp_path: Path
) -> None:
    chat = await open_chat(scripted)
    page, said = chat.page, chat.page.locator("#preset-said")
    await chat.set("temperature", 0.25)
    await page.locator("#preset input").fill("Steady")
    await page.locator("#preset input").press("Enter")
    await page.locator("#preset-save").click()
    await expect(said).to_contain_text("Saved as “Steady”")
    files: list[Download] = []
    page.on("download", lambda one: files.append(one))
    async with page.expect_download() as download:
        await page.locator("#preset-export").click(click_count=2, delay=SLOWLY_MS)
    file = tmp_path / "presets.json"
    await (await download.value).save_as(file)
    assert json.loads(file.read_text(encoding="utf-8"))["presets"][0]["temperature"] == 0.25

    await page.reload()
    await expect(chat.meter).not_to_be_empty()
    await chat.set("temperature", 1)
    await page.locator("#preset input").click()
    await page.get_by_role("option", name="Steady").click()
    await expect(page.locator("#temperature input[type=number]")).to_have_value("0.25")
    await chat.set("temperature", 0.75)
    await page.locator("#preset input").focus()  # whoever passes by chooses nothing
    await page.locator("#preset input").blur()
    await chat.ask("hello")
    await expect(page.locator("#temperature input[type=number]")).to_have_value("0.75")
    await page.locator("#preset-delete").click(click_count=2, delay=SLOWLY_MS)
    await expect(page.locator("#preset input")).to_have_value("")
    await expect(said).to_contain_text("is deleted")  # and not that there is none to delete
    assert len(files) == 1

    for text, sentence in ((file.read_text(encoding="utf-8"), "Presets imported: 1"), ("{}", "no presets")):
        file.write_text(text, encoding="utf-8")
        async with page.expect_file_chooser() as choosing:
            await page.locator("#preset-import").click()
        await (await choosing.value).set_files(file)
        await expect(said).to_contain_text(sentence)


async def test_each_tab_has_an_address_and_back_leads_back(scripted: str, open_chat: OpenChat) -> None:
    page = (await open_chat(scripted)).page
    await page.get_by_role("link", name="Use a tool").click()
    await expect(page.locator("#run-tools")).to_be_visible()
    assert page.url.endswith("#tools")
    await page.get_by_role("tab", name="JSON").click()
    await expect(page.locator("#run-json")).to_be_visible()
    await page.go_back()
    await expect(page.locator("#run-tools")).to_be_visible()
    await page.go_back()
    await expect(page.locator("#composer")).to_be_visible()
    sent = (await open_chat(f"{scripted}/#json-lab")).page
    await expect(sent.locator("#run-json")).to_be_visible()


async def test_a_link_fills_the_composer_and_sends_nothing(
    scripted: str, engine: ScriptedEngine, open_chat: OpenChat
) -> None:
    before = len(engine.requests)
    question = "What <b>is</b> a & b?\nSecond line"
    chat = await open_chat(f"{scripted}/?q={quote(question)}")
    await expect(chat.composer).to_have_value(question)
    assert "q=" not in chat.page.url
    await chat.page.reload()
    await expect(chat.composer).to_have_value(question)
    assert len(engine.requests) == before


OWN = "Answer like a pirate."


async def test_return_keeps_a_name_that_begins_like_another(scripted: str, open_chat: OpenChat) -> None:
    page = (await open_chat(scripted)).page
    system, name = page.locator("#system-prompt textarea"), page.locator("#preset input")
    await system.fill(OWN)
    await name.press_sequentially("Math")
    await expect(page.get_by_role("option")).to_have_count(1)
    await name.press("Enter")
    await expect(page.get_by_role("option")).to_have_count(0)
    await page.locator("#preset-save").click()
    await expect(page.locator("#preset-said")).to_contain_text("Saved as “Math”")
    await expect(system).to_have_value(OWN)
    await name.fill("")
    await name.press_sequentially("Maths")
    await name.press("ArrowDown")  # who goes there means what is found
    await name.press("Enter")
    await expect(system).to_have_value(re.compile("maths tutor"))


async def test_a_prompt_of_ones_own_comes_back_after_a_preset(scripted: str, open_chat: OpenChat) -> None:
    chat = await open_chat(scripted)
    page, system = chat.page, chat.page.locator("#system-prompt textarea")
    back = page.get_by_role("button", name="My own settings again")
    await system.fill(OWN)
    await chat.set("temperature", 1.5)
    for preset in ("Two languages", "Maths tutor"):
        await page.locator("#preset input").click()
        await page.get_by_role("option", name=preset).click()
        await expect(page.locator("#temperature input[type=number]")).not_to_have_value("1.5")
        await expect(back).to_be_visible()
    await page.reload()
    await expect(chat.meter).not_to_be_empty()
    await back.click()
    await expect(system).to_have_value(OWN)
    await expect(page.locator("#temperature input[type=number]")).to_have_value("1.5")
    await expect(back).to_have_count(0)
    await page.reload()
    await expect(system).to_have_value(OWN)
    await expect(back).to_have_count(0)


async def test_a_task_sets_the_chat_up_and_sends_nothing(scripted: str, open_chat: OpenChat) -> None:
    """A question of ours is replaced by the next, and a draft is left alone."""
    chat = await open_chat(scripted)
    page, json_mode = chat.page, chat.page.locator("#json-mode input")
    await page.get_by_role("button", name="Clean data as JSON").click()
    await expect(chat.composer).to_have_value("name: jon smith; city: new yrok; born: 1990-07-03")
    await expect(json_mode).to_be_checked()
    await expect(page.locator("#temperature input[type=number]")).to_have_value("0")
    await page.get_by_role("button", name="Support agent").first.click()
    await expect(chat.composer).to_have_value("My parcel is three days late. What can I do?")
    await page.get_by_role("button", name="Maths tutor").click()
    await expect(chat.composer).to_have_value("Why is 3 times 4 the same as 4 times 3?")
    await expect(json_mode).not_to_be_checked()
    await chat.composer.fill("what I wrote")
    await page.get_by_role("button", name="Clean data as JSON").click()
    await expect(json_mode).to_be_checked()
    await expect(chat.composer).to_have_value("what I wrote")
    await expect(chat.questions).to_have_count(0)
    await page.reload()
    await expect(chat.composer).to_have_value("what I wrote")


async def test_an_address_of_no_tab_opens_the_chat(scripted: str, open_chat: OpenChat) -> None:
    note = "window.failed = []; addEventListener('error', ({ message }) => failed.push(message));"
    chat = await open_chat(f"{scripted}/#%", script=note)
    await expect(chat.page.locator("#attach")).to_be_visible()  # of what runs last
    for address in ("#%E4%B8", "#nothing/there", "#__proto__", "#%"):
        await chat.page.evaluate("(address) => (location.hash = address)", address)
    await chat.ask("hello")
    assert await chat.page.evaluate("failed") == []
