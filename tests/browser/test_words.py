"""Texts that the page's own scripts fill in."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from tests.browser.chat_page import open_tab
from tests.browser.conftest import OpenChat

pytestmark = pytest.mark.anyio


async def test_a_number_has_the_noun_that_goes_with_it(scripted: str, open_chat: OpenChat) -> None:
    page = (await open_chat(scripted)).page
    await open_tab(page, "presenting")
    for turns, said in (("1", "0 of 1 answer"), ("2", "0 of 2 answers")):
        await page.locator(".present-invite [name=name]").fill(f"Anna {turns}")
        await page.locator(".present-invite [name=turns]").fill(turns)
        await page.get_by_role("button", name="Invite").click()
        await page.get_by_role("dialog").press("Escape")
        guest = page.locator(".present-guests li", has_text=f"Anna {turns}")
        await expect(guest.get_by_text(said, exact=True)).to_be_visible()
