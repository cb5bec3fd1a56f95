"""The chat page as a person sees it: what to type and click, and what can be read."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio
from playwright.async_api import Locator, Page, expect

ANSWER_S = 200  # a busy machine is no fault of the page's


class ChatPage:
    def __init__(self, page: Page) -> None:
        self.page = page
        self.composer = page.locator("#composer textarea")
        self.questions = page.locator("#conversation .user-row")
        self.answers = page.locator("#conversation .bot-row")
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
        await self.composer.fill(text)
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

    async def edit_question(self, number: int, text: str) -> None:
        field = self.page.locator("#conversation .edit-textarea")
        await until_async(lambda: self._editing(number, field))
        await field.fill(text)
        await self.page.get_by_role("button", name="Submit").click()


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
