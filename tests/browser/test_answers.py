"""What can be done with an answer: going on, starting it, running it again, comparing, seeing its alternatives."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import expect

from qwen_app.testing.scripted_engine import ScriptedEngine
from tests.browser.axe import faults
from tests.browser.chat_page import ChatPage, until
from tests.browser.conftest import OpenChat

pytestmark = pytest.mark.anyio


async def test_a_cut_answer_goes_on_and_chips_ask_for_more(
    scripted: str, open_chat: OpenChat, engine: ScriptedEngine
) -> None:
    chat = await open_chat(scripted)
    await chat.set("max-tokens", 2)
    answer = await chat.ask("say: one two three")
    await expect(answer.locator(".run-line")).to_contain_text("Cut off")
    asked = len(engine.requests)
    await answer.get_by_role("button", name="Continue").click()
    await until(lambda: len(engine.requests) > asked)
    await expect(chat.stop).to_have_count(0)
    await expect(chat.questions).to_have_count(1)
    assert engine.requests[asked].template.continue_final
    await chat.set("max-tokens", 50)
    await chat.answers.first.get_by_role("button", name="Shorter").click()
    await expect(await chat.answered(2)).to_contain_text("Say that again, shorter.")


async def test_a_run_is_repeated_exactly_and_compared(real: str, open_chat: OpenChat) -> None:
    chat = await open_chat(real)
    await chat.set("max-tokens", 8)
    await chat.set("temperature", 0.1)  # so that rounding, which differs by what runs beside it, decides nothing
    answer = await chat.ask("What is the capital of Japan?")
    await expect(answer).to_contain_text("Tokyo")
    await answer.locator(".run-card summary").click()
    await expect(answer.locator(".run-card")).to_contain_text(re.compile("Model.*Temperature.*Top-p", re.DOTALL))
    await answer.get_by_role("button", name="Run again exactly").click()
    await expect(chat.answers.first.locator(".pager")).to_contain_text("2/2")
    again = await chat.answered(1)
    await expect(again).to_contain_text("Tokyo")
    await expect(chat.page.locator(".word-difference")).to_have_text("The same text, word for word.")


async def test_the_reply_starts_as_told(real: str, open_chat: OpenChat) -> None:
    chat = await open_chat(real)
    await chat.set("max-tokens", 8)
    await chat.page.locator("#start-with textarea, #start-with input").fill("Ahoy, sailor!")
    await expect(await chat.ask("Greet me.")).to_contain_text("Ahoy, sailor!")
    await chat.page.reload()
    await expect(chat.page.locator("#start-with textarea, #start-with input")).to_have_value("Ahoy, sailor!")


async def shown_next(chat: ChatPage) -> None:
    await chat.composer.fill("say: hello")
    await chat.page.locator("#next-token-button").click()
    await expect(chat.page.locator("#next-token li")).to_have_count(13)


async def test_the_next_token_is_redrawn_without_asking(
    scripted: str, open_chat: OpenChat, engine: ScriptedEngine
) -> None:
    chat = await open_chat(scripted)
    await shown_next(chat)
    asked = len(engine.requests)
    cut = chat.page.locator("#next-token li[data-cut]")
    for top_p, temperature, expected in ((0.5, 1, 12), (0.76, 1, 10), (1, 1, 1), (1, 0, 12)):
        await chat.set("top-p", top_p)
        await chat.set("temperature", temperature)
        await expect(cut).to_have_count(expected)
    assert len(engine.requests) == asked
    assert await faults(chat.page) == []


async def test_words_show_their_alternatives_when_that_is_on(scripted: str, open_chat: OpenChat) -> None:
    chat = await open_chat(scripted)
    await chat.page.locator("#token-scores input").check()
    answer = await chat.ask("say: hello there")
    await answer.locator(".run-card > summary").click()
    await answer.locator(".run-scores summary").click()
    title = "“hello” 50.0 % · “ other1” 25.0 % · “ other2” 12.5 % · “ other3” 6.2 %"
    await expect(answer.locator(".run-scores .token").first).to_have_attribute("title", title)
    assert await faults(chat.page) == []
    await chat.page.reload()
    await expect(chat.page.locator(".run-scores .token").first).to_be_attached()
