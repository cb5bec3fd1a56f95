"""The context lens: what the next question leaves out is seen before it is sent, and can be chosen."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import expect

from qwen_app.testing.scripted_engine import ScriptedEngine
from tests.browser.chat_page import ChatPage
from tests.browser.conftest import OpenChat

pytestmark = pytest.mark.anyio


async def long_chat(chat: ChatPage, turns: int = 3) -> ChatPage:
    """Turns of 150 words each, and their answers as long, in a context of 1,024 tokens with half of it reserved."""
    await chat.set("max-tokens", 16)
    for number in range(turns):
        await chat.ask(f"turn {number} " + "pad " * 98)
    return chat


async def test_what_a_small_context_or_the_draft_pushes_out_is_dimmed_before_it_is_sent(
    scripted: str, open_chat: OpenChat, engine: ScriptedEngine
) -> None:
    chat = await long_chat(await open_chat(scripted))
    dimmed = chat.page.locator("#conversation .user-row[data-unsent]")
    edge = chat.page.locator("#conversation [data-edge]")
    await expect(dimmed).to_have_count(0)
    await chat.set("context-tokens", 400)
    await expect(dimmed).not_to_have_count(0)
    await expect(edge).to_have_count(1)
    await chat.set("context-tokens", 1024)
    await expect(dimmed).to_have_count(0)
    await chat.composer.fill("long " * 400)
    await expect(chat.meter).to_contain_text("left out")
    await expect(dimmed).not_to_have_count(0)
    out = await dimmed.count()
    assert out > 0
    await expect(chat.page.locator("#meter .lens-out button")).to_have_count(out)
    await chat.composer.press("Enter")
    await chat.answered(4)
    sent = [message.content for message in engine.requests[-1].messages if message.role == "user"]
    await expect(edge).to_have_count(1)  # and says so
    assert len(sent) == 4 - out
    assert sent[0].startswith(f"turn {out}")


async def test_send_is_off_while_too_much_is_typed(scripted: str, open_chat: OpenChat, engine: ScriptedEngine) -> None:
    """And no key costs a search for the directions of so long a text."""
    chat = await open_chat(scripted)
    asked = len(engine.requests)
    send = chat.page.get_by_role("button", name="Send", exact=True)
    await chat.composer.fill("long " * 2000)
    await expect(chat.meter).to_contain_text(re.compile(r"1,[\d]{3} too many"))
    await expect(send).to_be_disabled()
    await chat.composer.press("Enter")
    await expect(chat.composer).to_have_value("long " * 2000)
    bidi = "getComputedStyle(document.querySelector('#composer textarea')).unicodeBidi"
    await chat.composer.fill("word " * 10_000)
    assert await chat.page.evaluate(bidi) != "plaintext"
    await chat.composer.fill("short")
    assert await chat.page.evaluate(bidi) == "plaintext"
    await expect(send).to_be_enabled()
    assert len(engine.requests) == asked


async def test_a_click_pins_and_leaves_out_and_a_reload_remembers(
    scripted: str, open_chat: OpenChat, engine: ScriptedEngine
) -> None:
    chat = await long_chat(await open_chat(scripted))
    page = chat.page
    first = page.locator('#meter .lens-turn[value^="0:"]')
    await chat.composer.fill("and now")
    await expect(chat.meter).to_contain_text("draft 2")
    await first.click()
    await expect(page.locator("#meter .pinned")).to_have_count(1)
    await expect(chat.meter).to_contain_text("draft 2")
    await first.click()
    await expect(page.locator("#conversation .user-row").first).to_have_attribute("data-unsent", "")
    await chat.answers.nth(1).hover()
    await chat.button("Pin", of=chat.answers.nth(1))
    await expect(page.locator("#conversation .held")).to_contain_text(["Left out", "Pinned"])
    await page.reload()
    await expect(page.locator("#conversation .held")).to_contain_text(["Left out", "Pinned"])
    await expect(page.locator("#meter .pinned")).to_have_count(1)
    await chat.ask("and now")
    sent = [message.content for message in engine.requests[-1].messages if message.role == "user"]
    assert [text[:7].strip() for text in sent] == ["turn 1", "turn 2", "and now"]


async def test_send_is_off_while_the_draft_is_too_long_to_be_counted(real: str, open_chat: OpenChat) -> None:
    chat = await open_chat(real)
    send = chat.page.locator("#composer .submit-button")
    await chat.composer.fill("word " * 20_000)
    await expect(chat.meter).to_contain_text("100,000 characters, and no more than")
    await expect(send).to_be_disabled()
    await chat.composer.press("Enter")
    await expect(chat.page.locator(".pending")).to_have_count(0)
    await chat.composer.fill("short")
    await expect(chat.meter).to_contain_text("tokens")
    await expect(send).to_be_enabled()
