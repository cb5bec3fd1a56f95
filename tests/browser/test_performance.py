"""The performance tab in a real browser, on a scripted engine."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.async_api import Page, expect

from qwen_app.messages import GenerationRequest
from qwen_app.testing.scripted_engine import Script, ScriptedEngine
from tests.browser.chat_page import open_tab
from tests.browser.conftest import OpenChat
from tests.browser.serving import running_page

pytestmark = pytest.mark.anyio
SLOW_FROM_WORDS = 1000  # longer questions are answered too slowly to end


def act(request: GenerationRequest) -> Script:
    slow = len(request.messages[-1].content.split()) > SLOW_FROM_WORDS
    return Script(("word ",) * 400, token_s=0.5 if slow else 0.001)


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with running_page(ScriptedEngine(act, slots=2, context_tokens=8192)) as url:
        yield url


async def performance_page(open_chat: OpenChat, url: str, **options: object) -> Page:
    page = (await open_chat(url, **options)).page
    await open_tab(page, "performance")
    return page


async def test_a_run_shows_charts_tables_and_markdown(address: str, open_chat: OpenChat) -> None:
    page = await performance_page(open_chat, address)
    await page.get_by_label("2k", exact=True).uncheck()
    await page.locator("#perf-run").click()
    await expect(page.locator("#perf-state")).to_contain_text("Measured 2 of 2.")
    await expect(page.locator("#perf-results svg.chart")).to_have_count(2)
    await expect(page.locator("#perf-results tbody tr").first).to_contain_text("1,024")
    await expect(page.locator("#perf-paste")).to_contain_text("How fast scripted is here")
    await page.get_by_text("中文", exact=True).click()
    await expect(page.locator("#perf-results h3").first).to_have_text("速度")


async def test_stop_keeps_what_was_measured(address: str, open_chat: OpenChat) -> None:
    page = await performance_page(open_chat, address)
    await page.get_by_label("2k", exact=True).uncheck()
    await page.get_by_label("8k", exact=True).check()
    await page.locator("#perf-users").get_by_label("2", exact=True).uncheck()
    await page.locator("#perf-run").click()
    await expect(page.locator("#perf-state")).to_contain_text("2 of 2 · 8k tokens")
    await page.locator("#perf-stop").click()
    await expect(page.locator("#perf-state")).to_contain_text("Stopped after 1 of 2.")
    await expect(page.locator("#perf-results tbody tr").first).to_contain_text("1,024")
    await expect(page.locator("#perf-run")).to_be_enabled()
