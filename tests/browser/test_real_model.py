"""The whole app with the built-in model, in a real browser."""

from __future__ import annotations

import json
import re

import pytest
from playwright.async_api import expect

from tests.browser.conftest import OpenChat

pytestmark = pytest.mark.anyio

ENDLESS = "Write the word apple two hundred times."  # at temperature 0 the model writes to the end of its room


async def test_the_capital_of_japan(real: str, open_chat: OpenChat) -> None:
    chat = await open_chat(real)
    await chat.set("temperature", 0)
    answer = await chat.ask("What is the capital of Japan?")
    await expect(answer).to_contain_text("Tokyo")
    await expect(answer).to_contain_text("tokens/s")
    await expect(chat.page.locator("#about")).to_contain_text("SmolLM2-135M")
    await expect(chat.page.locator("#about")).to_contain_text("for trying")


async def test_json_mode_parses_even_when_cut(real: str, open_chat: OpenChat) -> None:
    chat = await open_chat(real)
    await chat.page.locator("#json-mode input").check()
    await chat.set("max-tokens", 24)
    answer = await chat.ask("Describe a cat with name, age and colour.")
    parsed = json.loads(await answer.locator("pre code").inner_text())
    assert isinstance(parsed, dict)


async def test_stop_ends_the_answer_and_the_next_one_comes(real: str, open_chat: OpenChat) -> None:
    chat = await open_chat(real)
    await chat.set("temperature", 0)
    await chat.send(ENDLESS)
    await expect(chat.answers.first.locator(".prose").first).not_to_be_empty()
    await chat.stop.click()
    answer = await chat.answered(1)
    await expect(answer.locator(".run-line")).to_contain_text("Stopped")
    await chat.set("max-tokens", 4)
    await expect((await chat.ask("Hello")).locator(".run-line")).not_to_contain_text("Failed")


async def test_a_chat_longer_than_the_context_goes_on(real: str, open_chat: OpenChat) -> None:
    chat = await open_chat(real)
    await chat.set("max-tokens", 8)
    for number in range(4):
        await chat.ask(f"Remember this list, part {number}: " + "apples pears plums grapes melons " * 12)
    edge = chat.page.locator("#conversation [data-edge]")  # drawn by a style
    await expect(edge).to_have_attribute("data-edge", re.compile("no longer sent"))
    await expect(chat.answers.last.locator(".run-error")).to_have_count(0)


async def test_two_people_at_once(real: str, open_chat: OpenChat) -> None:
    one, other = await open_chat(real), await open_chat(real)
    for chat in (one, other):
        await chat.set("temperature", 0)
        await chat.set("max-tokens", 12)
    await one.send("What is the capital of Japan?")
    await other.send("What is the capital of Italy?")
    await expect(await one.answered(1)).to_contain_text("Tokyo")
    await expect(await other.answered(1)).to_contain_text("Ital")
    await expect(other.answers.first).not_to_contain_text("Tokyo")
    await expect(one.questions).to_have_count(1)
    await expect(other.questions).to_have_count(1)
