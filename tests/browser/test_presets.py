"""Presets, the tasks of an empty chat, addresses of tabs, and links that bring a question."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import quote

import pytest
from playwright.async_api import expect

from qwen_app.testing.scripted_engine import ScriptedEngine
from tests.browser.conftest import OpenChat

pytestmark = pytest.mark.anyio


async def test_a_task_sets_the_chat_up_and_sends_nothing(scripted: str, open_chat: OpenChat) -> None:
    page = (await open_chat(scripted)).page
    await page.get_by_role("button", name="Clean data as JSON").click()
    await expect(page.locator("#composer textarea")).to_have_value("name: jon smith; city: new yrok; born: 1990-07-03")
    await expect(page.locator("#json-mode input")).to_be_checked()
    await expect(page.locator("#temperature input[type=number]")).to_have_value("0")
    await expect(page.locator("#conversation .user-row")).to_have_count(0)


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
    async with page.expect_download() as download:
        await page.locator("#preset-export").click()
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
    await page.locator("#preset-delete").click()
    await expect(said).to_contain_text("is deleted")

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
    sent = (await open_chat(scripted)).page
    await sent.goto(scripted + "/#json-lab")
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
