"""The scenarios tab in a real browser: on a scripted engine, and once with the built-in model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from qwen_app.messages import GenerationRequest
from qwen_app.testing.scripted_engine import Script, ScriptedEngine
from tests.browser.chat_page import ANSWER_S, open_tab
from tests.browser.conftest import OpenChat
from tests.browser.serving import running_page

pytestmark = pytest.mark.anyio


def act(request: GenerationRequest) -> Script:
    if "Translate" in request.messages[-1].content:
        return Script(("word ",) * 2000, token_s=0.5)
    return Script(("Answer: ", "10 km"))


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with running_page(ScriptedEngine(act, context_tokens=4096)) as url:
        yield url


async def scenarios_page(open_chat: OpenChat, url: str, **options: object) -> Page:
    page = (await open_chat(url, **options)).page
    await open_tab(page, "scenarios")
    return page


async def test_a_click_a_verdict_and_a_report(address: str, open_chat: OpenChat, tmp_path: Path) -> None:
    page = await scenarios_page(open_chat, address)
    await page.locator("#scen-markdown").click()
    await expect(page.locator("#scen-state")).to_contain_text("run a scenario first")
    for number, key in enumerate(("meeting", "table", "summary"), 1):
        await page.locator(f"#scen-{key}").click()
        await expect(page.locator(".scen-card .result")).to_have_count(number)
        await expect(page.locator("#scen-state .run-line")).to_be_visible()
    await expect(page.locator("#scen-state")).to_contain_text("1 of 3 pass.")
    for title, verdict in (("Meeting point", "pass"), ("A table", "fail"), ("White paper", "does not fit")):
        await expect(page.locator(".scen-card", has_text=title).locator(".result")).to_have_text(verdict)
    card = page.locator(".scen-card", has_text="A table")
    await card.locator("summary").click()
    await expect(card).to_contain_text("“East” is not in the answer.")
    for button, ending, said in (("#scen-html", ".html", "<svg"), ("#scen-markdown", ".md", "| Meeting point")):
        async with page.expect_download() as saving:
            await page.locator(button).click()
        saved = await saving.value
        assert saved.suggested_filename.endswith(ending)
        kept = tmp_path / saved.suggested_filename
        await saved.save_as(kept)
        assert said in kept.read_text(encoding="utf-8")


async def test_stop_ends_a_run(address: str, open_chat: OpenChat) -> None:
    page = await scenarios_page(open_chat, address)
    await page.locator("#scen-translation").click()
    await expect(page.locator(".scen-live")).to_contain_text("word")
    await page.locator("#scen-stop").click()
    await expect(page.locator(".scen-card .result")).to_have_text("stopped")
    await page.get_by_text("中文", exact=True).click()
    await expect(page.locator(".scen-card .result")).to_have_text("已停止")
    await expect(page.locator("#scen-translation")).to_have_text("英译中")


async def test_the_builtin_model_is_told_honestly_what_does_not_fit(real: str, open_chat: OpenChat) -> None:
    page = await scenarios_page(open_chat, real)
    await page.locator("#scen-refusal_drug").click()
    await expect(page.locator("#scen-state .run-line")).to_be_visible(timeout=ANSWER_S * 1000)
    await page.locator("#scen-summary").click()
    card = page.locator(".scen-card", has_text="White paper")
    await expect(card.locator(".result")).to_have_text("does not fit", timeout=ANSWER_S * 1000)
