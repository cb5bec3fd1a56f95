"""The compare tab and the status tab, as a person meets them."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from tests.browser.conftest import OpenChat

pytestmark = pytest.mark.anyio


async def test_two_answers_a_vote_a_file_and_one_that_is_kept(scripted: str, open_chat: OpenChat) -> None:
    chat = await open_chat(scripted + "/#compare")
    page = chat.page
    await page.locator("#vote-right").click()
    await expect(page.locator("#compare-notice")).to_contain_text("ask both first")
    await page.locator("#compare-prompt textarea").fill("hello there")
    await page.locator("#compare-right-json input").check()
    await page.locator("#compare-run").click()
    await expect(page.locator("#compare-left-answer")).to_contain_text("You said: hello there.")
    await expect(page.locator("#compare-right-answer")).to_contain_text('"answer": "yes"')
    await expect(page.locator("#compare-difference del")).not_to_have_count(0)
    await expect(page.locator("#compare-notice")).to_be_empty()
    await page.locator("#vote-left").click()
    await expect(page.locator("#compare-table tbody td").last).to_have_text("Left")
    async with page.expect_download() as download:
        await page.locator("#compare-csv").click()
    assert (await download.value).suggested_filename == "comparisons.csv"
    await page.locator("#compare-left-keep").click()
    await expect(chat.questions).to_have_count(1)
    await expect(chat.answers.first).to_contain_text("You said: hello there.")


async def test_the_dot_and_the_plots_come_by_one_stream(scripted: str, open_chat: OpenChat) -> None:
    page = (await open_chat(scripted)).page
    await expect(page.locator("#pulse")).to_contain_text("here · 0 waiting")
    await page.locator("#pulse a").click()
    await expect(page.locator("#status-plots figure").filter(visible=True)).to_have_count(6)
    await expect(page.locator("[data-field=memory_bytes] [data-value]")).not_to_have_text("–")
