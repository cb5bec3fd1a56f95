"""The chat page as a person sees it: what to type and click, and what can be read."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable

import anyio
from playwright.async_api import Locator, Page, Route, expect

from qwen_app.ui.shared.strings import TEXTS

ANSWER_S = 200  # a busy machine is no fault of the page's


class ChatPage:
    def __init__(self, page: Page) -> None:
        self.page = page
        self.composer = page.locator("#composer textarea")
        self.questions = page.locator("#conversation .user-row")
        self.answers = page.locator("#conversation .bot-row, #live:has(.md > *)")
        self.runs = page.locator("#conversation .run-line")
        self.meter = page.locator("#meter .meter-text")
        self.stop = page.locator("#composer .stop-button")

    async def open(self, url: str) -> ChatPage:
        await self.page.goto(url)
        await expect(self.meter).not_to_be_empty()
        return self

    async def set(self, name: str, value: object) -> None:
        """Set a number of the settings by its field."""
        field = self.page.locator(f"#{name} input[type=number]")
        await field.fill(str(value))
        await field.press("Enter")

    async def send(self, text: str) -> None:
        """By Return, which under a finger is a new line: there by the button."""
        await self.composer.fill(text)
        if await self.page.evaluate("matchMedia('(pointer: coarse)').matches"):
            await self.page.locator("#composer .submit-button").click()
        else:
            await self.composer.press("Enter")

    async def ask(self, text: str) -> Locator:
        """Send ``text`` and wait for the end of the answer, which is returned."""
        asked = await self.questions.count()
        await self.send(text)
        return await self.answered(asked + 1)

    async def answered(self, turns: int) -> Locator:
        """Wait until the chat has this many turns and the last is answered."""
        await expect(self.questions).to_have_count(turns)
        answer = self.answers.nth(turns - 1)
        await expect(answer.locator(".run-line")).to_be_visible(timeout=ANSWER_S * 1000)
        await expect(self.stop).to_have_count(0)
        return answer

    async def button(self, name: str, *, of: Locator | None = None) -> None:
        """Click one of a message's icons: of the last message, or of the one given."""
        buttons = self.page.get_by_role("button", name=name)
        await (buttons.last if of is None else of.get_by_role("button", name=name)).click()

    async def _editing(self, number: int, field: Locator) -> bool:
        """Whether a click on the edit icon opened the question. Gradio draws the last picture of an answer once more
        when its event completes, and that closes what was just opened."""
        await self.page.get_by_role("button", name="Edit").nth(number).click()
        try:
            await expect(field).to_be_visible(timeout=2000)
        except AssertionError:
            return False
        return True

    async def open_edit(self, number: int) -> Locator:
        """Open the editor of a question, counted from 0."""
        field = self.page.locator("#conversation .edit-textarea")
        await until_async(lambda: self._editing(number, field))
        return field

    async def edit_question(self, number: int, text: str) -> None:
        await (await self.open_edit(number)).fill(text)
        await self.page.get_by_role("button", name="Submit").click()


async def hold_requests(page: Page, address: str) -> anyio.Event:
    """Let no request of the page's to ``address``, a pattern, reach the server before the event is set."""
    go = anyio.Event()

    async def hold(route: Route) -> None:
        await go.wait()
        await route.continue_()

    await page.route(address, hold)
    return go


async def until_async(holds: Callable[[], Awaitable[bool]]) -> None:
    """Try something on the page until it has come about."""
    with anyio.fail_after(30):
        while not await holds():
            pass


async def until(holds: Callable[[], bool]) -> None:
    """Wait for something the server knows and no page shows."""
    with anyio.fail_after(30):
        while not holds():  # noqa: ASYNC110 (there is no event for it)
            await anyio.sleep(0.05)


async def open_tab(page: Page, name: str) -> None:
    """Open the tab with the id ``name``-tab, from the menu where there is no room for it beside the others."""
    await page.wait_for_function("!document.documentElement.classList.contains('translating')")
    tab = page.locator(f"#{name}-tab-button").filter(visible=True)
    menu = page.locator("#tabs > .tab-wrapper .overflow-menu")
    await expect(tab.or_(menu.locator("> button")).filter(visible=True).first).to_be_visible()
    if await tab.count():
        await tab.click()
        return
    await menu.locator("> button").click()
    await menu.get_by_text(re.compile("|".join(TEXTS[f"{name}_tab"]))).click()
