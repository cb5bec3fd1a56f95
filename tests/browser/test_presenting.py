"""A presenter and two guests at once: links, quotas, pause, stop, revocation, as each of them sees it."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from playwright.async_api import Page, expect

from qwen_app.testing.scripted_engine import ScriptedEngine
from tests.browser.axe import faults
from tests.browser.chat_page import ChatPage, open_tab
from tests.browser.conftest import OpenChat, say
from tests.browser.hindrance import move_away
from tests.browser.serving import running_page
from tests.nvml_stand_in import stand_in

pytestmark = pytest.mark.anyio
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "locale": "zh-CN", "color_scheme": "dark"}


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """A server of its own, on a card: here everybody's answers are stopped."""
    engine = ScriptedEngine(say, slots=4, context_tokens=1024, gpu_uuids=("GPU-a",))
    with pytest.MonkeyPatch.context() as patch:
        stand_in(patch, GPU_a=(87, 15 * 2**30, 24 * 2**30, 71))
        with running_page(engine, chat_titles=False) as url:
            yield url


async def invite(presenter: Page, name: str, turns: int) -> str:
    """The link that the presenter gets for a new guest."""
    await presenter.locator(".present-invite [name=name]").fill(name)
    await presenter.locator(".present-invite [name=turns]").fill(str(turns))
    await presenter.locator(".present-invite .primary").click()
    dialog = presenter.get_by_role("dialog", name=name)
    await expect(dialog.locator("svg")).to_be_visible()
    link = await dialog.locator("input").input_value()
    await presenter.keyboard.press("Escape")
    return link


async def open_guest(open_chat: OpenChat, url: str, link: str, **options: object) -> ChatPage:
    """The guest's page, which has no meter to wait for."""
    chat = await open_chat(url, **options)
    await chat.page.goto(link)
    await expect(chat.page.locator("#guest-line span")).not_to_be_empty()
    return chat


async def test_a_presenter_and_two_guests(server: str, open_chat: OpenChat) -> None:
    desk = (await open_chat(server)).page
    await open_tab(desk, "presenting")
    for figure in ("87 %", "15.0 / 24.0", "71 °C"):
        await expect(desk.locator(".present-figures")).to_contain_text(figure)
    anna = await open_guest(open_chat, server, await invite(desk, "Anna", 10))
    zhou = await open_guest(open_chat, server, await invite(desk, "Zhou", 2), **PHONE)
    for guest in (anna, zhou):
        await expect(guest.page.get_by_role("tab").filter(visible=True)).to_have_count(0)
        for hidden in ("#settings-panel", "#chat-use-code", "#pulse", "#meter"):
            await expect(guest.page.locator(hidden).filter(visible=True)).to_have_count(0)
        assert await faults(guest.page) == []

    await anna.ask("say: hello")
    await anna.send("talk slowly")
    await expect(anna.stop).to_be_visible()
    line = desk.locator(".present-guests li", has_text="Anna")
    await expect(line).to_contain_text("2 of 10")
    await expect(line).to_contain_text("being answered")
    await expect(desk.locator(".present-guests li", has_text="Zhou")).to_contain_text("idle")

    await desk.locator(".present-pause").click()
    await expect(desk.locator(".present-state")).to_contain_text("only you")
    await zhou.send("say: hello")
    await expect(zhou.page.locator("#notice")).to_contain_text("已由演示者暂停")
    await expect(zhou.page.locator(".guest-told")).to_be_visible()
    await expect(zhou.composer).to_have_value("say: hello")
    await desk.locator(".present-stop").click()
    await expect(anna.page.locator(".run-error")).to_contain_text("The presenter has stopped all answers.")
    await expect(line).to_contain_text("idle")

    await desk.locator(".present-pause").click()
    await expect(desk.locator(".present-state")).to_be_empty()
    await zhou.ask("say: hello")
    await zhou.ask("say: again")
    await expect(zhou.page.locator("#guest-line")).to_contain_text("0/2")
    await zhou.send("say: one more")
    await expect(zhou.page.locator("#notice")).to_contain_text("次数已用完")
    await expect(zhou.answers).to_have_count(2)

    await line.get_by_role("button", name="Revoke").click()
    await expect(line).to_contain_text("over")
    await anna.send("what I wrote")
    await expect(anna.page.locator(".guest-told")).to_contain_text(["This guest link is over"])
    await expect(anna.page.locator(".toast-body").filter(visible=True)).to_have_count(0)
    await expect(anna.composer).to_have_value("what I wrote")
    await expect(anna.answers.first).to_contain_text("hello")
    await anna.page.reload()
    await expect(anna.page.locator("h1")).to_contain_text("This guest link is over")


async def test_a_guest_keeps_the_chats_and_leaves(server: str, open_chat: OpenChat) -> None:
    desk = (await open_chat(server)).page
    await open_tab(desk, "presenting")
    guest = await open_guest(open_chat, server, await invite(desk, "Bo", 5))
    await guest.ask("say: remember me")
    await guest.page.reload()
    await expect(guest.answers.first).to_contain_text("remember me")
    await open_tab(desk, "status")
    await expect(desk.locator("[data-field=gpu_celsius] [data-value]")).to_have_text("71")
    await guest.page.get_by_role("button", name="Leave").click()
    await expect(guest.page.get_by_role("tab", name="JSON")).to_be_visible()  # this machine's own visitor again
    await expect(guest.answers).to_have_count(0)


def recorded(chat: str, *, writes_s: float) -> str:
    """A chat as it is exported, whose one answer took so long to write."""
    run = {"reason": "stop", "completion_tokens": 50, "first_token_s": 1.0, "total_s": 1.0 + writes_s}
    question = {"id": "q", "role": "user", "content": "Why?"}
    answer = {"id": "a", "parent_id": "q", "role": "assistant", "content": "because " * 50, "run": run}
    return json.dumps(
        {"format": "qwen-chat", "version": 1, "title": chat, "head_id": "a", "messages": [question, answer]}
    )


async def test_a_replay_says_so_asks_nothing_and_ends_in_the_chat(server: str, open_chat: OpenChat) -> None:
    chat = await open_chat(server)
    page = chat.page
    await page.request.post(f"{server}/chats/import", data=recorded("A demo", writes_s=600))
    await page.reload()
    await page.locator(".chats-list li", has_text="A demo").hover()
    await page.get_by_role("button", name="More for A demo").click()
    await page.get_by_role("menuitem", name="Replay").click()
    bar = page.locator("#chat-replay")
    await expect(bar).to_contain_text("Replay of a recorded chat. No model is asked.")
    await expect(chat.composer).not_to_be_visible()
    await bar.get_by_role("button", name="Speed 4×").click()
    await expect(bar.get_by_role("button", name="Speed 4×")).to_have_attribute("aria-pressed", "true")
    await expect(chat.answers.last).to_contain_text("because")
    await bar.get_by_role("button", name="Pause").click()
    await expect(bar.get_by_role("button", name="Go on")).to_be_visible()
    assert await faults(page) == []
    await expect(chat.runs).to_have_count(0)
    await bar.get_by_role("button", name="End the replay").click()
    await expect(bar).to_be_empty()
    await expect(chat.composer).to_be_visible()
    await chat.answered(1)
    assert "chat=" in page.url


async def test_an_invitation_is_one_asks_for_nothing_that_is_not_there_and_shows_a_long_name_whole(
    server: str, open_chat: OpenChat
) -> None:
    desk = (await open_chat(server, **PHONE)).page
    refused: list[str] = []
    desk.on("response", lambda answer: refused.append(answer.url) if answer.status >= 400 else None)
    await open_tab(desk, "presenting")
    await desk.locator(".present-invite [name=name]").fill("a name as long as names may be, " + "W" * 28)
    await move_away(desk, 200)
    await desk.locator(".present-invite .primary").dblclick()
    dialog = desk.locator("dialog.chats-share")
    await expect(dialog.locator("svg")).to_be_visible()
    overlap = """dialog => {
      const name = document.createRange();
      name.selectNodeContents(dialog.querySelector("h2"));
      const button = dialog.querySelector(".chats-dialog-foot button").getBoundingClientRect();
      return name.getBoundingClientRect().right > button.left || dialog.getBoundingClientRect().right > innerWidth;
    }"""
    assert not await dialog.evaluate(overlap)
    await desk.keyboard.press("Escape")
    await expect(desk.locator(".present-guests li", has_text="a name as long")).to_have_count(1)
    assert refused == []


@pytest.mark.parametrize("locale", ["en-US", "zh-CN"])
async def test_a_guest_on_a_narrow_phone_reads_how_many_answers_are_left(
    server: str, open_chat: OpenChat, locale: str
) -> None:
    presenter = await open_chat(f"{server}/#presenting")
    link = await invite(presenter.page, "Ann", 20)
    guest = await open_guest(open_chat, server, link, **PHONE | {"locale": locale})
    await guest.page.set_viewport_size({"width": 360, "height": 740})
    line = guest.page.locator("#guest-line span")
    await expect(line).to_contain_text("20/20" if locale == "zh-CN" else "20")
    whole = "line => line.scrollHeight <= line.clientHeight && line.scrollWidth <= line.clientWidth"
    assert await line.evaluate(whole)


async def test_the_headings_of_a_guests_page_begin_at_the_top(server: str, open_chat: OpenChat) -> None:
    desk = (await open_chat(server)).page
    await open_tab(desk, "presenting")
    guest = await open_guest(open_chat, server, await invite(desk, "Headings", 5))
    await guest.ask("say: hello")
    for width in (1440, 390):
        await guest.page.set_viewport_size({"width": width, "height": 844})
        await expect(guest.page.get_by_role("heading", level=1)).to_have_count(1)
        assert await faults(guest.page, "moderate") == []
