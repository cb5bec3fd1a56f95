"""Chats that stay and answers that survive, for a person at a real browser: reload, second tab, restart, two users."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import anyio
import pytest
from playwright.async_api import Browser, BrowserContext, Locator, Page, Route, expect

from qwen_app.testing.scripted_engine import ScriptedEngine
from tests.browser.chat_page import ChatPage, hold_requests
from tests.browser.conftest import OpenChat, say
from tests.browser.hindrance import move_away
from tests.browser.serving import running_page

pytestmark = pytest.mark.anyio
ADDRESS = re.compile(r"\?chat=[0-9a-f]{32}$")


@pytest.fixture(scope="module")
def kept() -> Iterator[str]:
    """A server whose answers run on unwatched."""
    with running_page(ScriptedEngine(say, slots=4, context_tokens=4096), unwatched_s=60, chat_titles=False) as url:
        yield url


def lines(page: Page) -> Locator:
    return page.locator("#chats-panel .chats-title")


def undo(page: Page) -> Locator:
    """The button of the list: a question that is still shown has one of that name."""
    return page.locator(".chats-said").get_by_role("button", name="Undo")


async def tab(context: BrowserContext, url: str) -> ChatPage:
    return await ChatPage(await context.new_page()).open(url)


async def menu(page: Page, title: str, entry: str) -> None:
    line = page.locator("#chats-panel li", has_text=title)
    await line.hover()
    await line.locator(".chats-more").click()
    await page.get_by_role("menuitem", name=entry).click()


async def test_a_chat_is_there_after_a_reload_and_in_the_list(kept: str, open_chat: OpenChat) -> None:
    chat = await open_chat(kept)
    await chat.ask("what stays")
    await expect(chat.page).to_have_url(ADDRESS)
    await expect(lines(chat.page)).to_have_text(["what stays"])
    await chat.composer.fill("a draft")
    await chat.page.reload()
    await expect(await chat.answered(1)).to_contain_text("You said: what stays")
    await expect(chat.composer).to_have_value("a draft")
    await chat.page.locator(".chats-new").click()
    await expect(chat.questions).to_have_count(0)
    await expect(chat.composer).to_have_value("")
    await chat.ask("another")
    await chat.ask("one more")
    await expect(lines(chat.page)).to_have_text(["another", "what stays"])
    await lines(chat.page).last.click()
    await expect(await chat.answered(1)).to_contain_text("You said: what stays")
    await expect(chat.composer).to_have_value("a draft")
    await lines(chat.page).first.click()
    await expect(await chat.answered(2)).to_contain_text("You said: one more")
    await expect(chat.composer).to_have_value("")  # what was sent is no draft
    await search_slowly(chat.page, "what", then="another")
    await expect(lines(chat.page)).to_have_text(["another"])


async def search_slowly(page: Page, text: str, then: str) -> None:
    """Search for ``text``, and for another text before the server has answered."""
    asked, go, answered = anyio.Event(), anyio.Event(), anyio.Event()

    async def hold(route: Route) -> None:
        asked.set()
        await go.wait()
        await route.fulfill(response=await route.fetch())
        answered.set()

    await page.route(f"**/chats?search={text}", hold)
    field = page.get_by_role("searchbox")
    await field.fill(text)
    await asked.wait()
    await field.fill(then)
    await expect(lines(page)).to_have_text([then])
    go.set()
    await answered.wait()
    await page.evaluate("() => new Promise((later) => setTimeout(later, 100))")  # it would be drawn by then


CHAT_ID = "new URL(location.href).searchParams.get('chat')"
# What another tab is told where the beginning and the end of an answer came in one piece, and its end alone was drawn.
HEARD_OF_A_QUICK_ANSWER = f"""() => new Promise((heard) => {{
  new BroadcastChannel("qwen-chats").onmessage = ({{ data }}) => heard(data.id);
  window.chatShown({{ id: {CHAT_ID}, temporary: false, running: false, last: "another answer" }});
}})"""


async def test_what_is_typed_once_another_chat_is_asked_for_is_meant_for_that_one(
    scripted: str, open_chat: OpenChat
) -> None:
    chat = await open_chat(scripted)
    await chat.ask("the first chat")
    first = chat.page.get_by_role("button", name="the first chat", exact=True)
    await chat.composer.fill("of the first")
    for new in (".chats-new", "#new-chat"):
        go = await hold_requests(chat.page, "**/gradio_api/{queue/join,run/predict}*")
        await chat.page.locator(new).dispatch_event("click")  # the palette presses the second, which is not shown here
        await chat.composer.press("End")
        await chat.composer.press_sequentially(f" and by {new}")
        go.set()
        await expect(chat.questions).to_have_count(0)
        await expect(chat.composer).to_have_value(f" and by {new}")
        await first.click()
        await expect(chat.composer).to_have_value("of the first")
        await chat.page.locator(".chats-new").click()
        await expect(chat.questions).to_have_count(0)
        await expect(chat.composer).to_have_value(f" and by {new}")
        await chat.composer.fill("")
        await first.click()
        await expect(chat.composer).to_have_value("of the first")


async def test_an_answer_goes_on_through_a_reload_and_in_a_second_tab(kept: str, open_chat: OpenChat) -> None:
    chat = await open_chat(kept)
    await chat.set("max-tokens", 2000)  # it runs until it is stopped, however busy the machine is
    await chat.send("talk slowly")
    await expect(chat.answers.first).to_contain_text("word word")
    await expect(chat.page).to_have_url(ADDRESS)
    second = await tab(chat.page.context, chat.page.url)
    await expect(second.answers.first).to_contain_text("word word")
    await chat.composer.fill("a draft meanwhile")
    await chat.page.reload()
    await expect(chat.answers.first).to_contain_text("word word")
    await expect(chat.stop).to_be_visible()
    await expect(chat.composer).to_have_value("a draft meanwhile")
    await second.stop.click()
    for one in (chat, second):
        await expect((await one.answered(1)).locator(".run-line")).to_contain_text("Stopped")
    await second.send("say: from the second tab")
    await expect(await chat.answered(2)).to_contain_text("from the second tab")
    assert await second.page.evaluate(HEARD_OF_A_QUICK_ANSWER) == await second.page.evaluate(CHAT_ID)
    await second.send("talk slowly")
    await chat.stop.click()  # begun there, stopped here
    await expect((await second.answered(3)).locator(".run-line")).to_contain_text("Stopped")


async def test_two_tabs_that_draw_one_answer_leave_each_other_alone(kept: str, open_chat: OpenChat) -> None:
    chat = await open_chat(kept)
    await chat.set("max-tokens", 2000)
    await chat.send("talk slowly")
    await expect(chat.page).to_have_url(ADDRESS)
    second = await tab(chat.page.context, chat.page.url)
    asked: list[str] = []
    for one in (chat, second):
        one.page.on("request", lambda request: asked.append(request.url))
    for one in (chat, second):
        await expect(one.answers.first).to_contain_text("word " * 60)
    await chat.stop.click()
    for url in ("queue/join", "/chats"):
        assert len([one for one in asked if url in one]) < 8, asked  # of which they had sent dozens


async def test_two_users_see_their_own_chats_alone(kept: str, open_chat: OpenChat) -> None:
    ada, bob = await open_chat(kept), await open_chat(kept)
    await ada.ask("the secret of ada")
    await bob.ask("nothing of note")
    await expect(lines(bob.page)).to_have_text(["nothing of note"])
    await bob.open(ada.page.url)
    await expect(bob.questions).to_have_count(0)
    await expect(bob.page.locator("#chats-panel")).not_to_contain_text("secret")


async def test_back_leads_to_the_chat_before(kept: str, open_chat: OpenChat) -> None:
    chat = await open_chat(kept)
    await chat.ask("first")
    await expect(chat.page).to_have_url(ADDRESS)
    first = chat.page.url
    await chat.page.locator(".chats-new").click()
    await expect(chat.questions).to_have_count(0)
    await chat.ask("second")
    await chat.composer.fill("a draft")
    await chat.page.go_back()
    await expect(chat.page).to_have_url(first)
    await expect(await chat.answered(1)).to_contain_text("You said: first")
    await expect(chat.composer).to_have_value("")
    await chat.page.go_forward()
    await expect(await chat.answered(1)).to_contain_text("You said: second")
    await expect(chat.composer).to_have_value("a draft")
    await lines(chat.page).last.click()
    await expect(await chat.answered(1)).to_contain_text("You said: first")
    await chat.page.locator("#tools-tab-button").click()
    await chat.page.go_back()
    await expect(chat.composer).to_be_visible()
    await expect(await chat.answered(1)).to_contain_text("You said: first")


async def test_a_menu_stays_with_its_chat_while_the_list_is_drawn_anew(kept: str, open_chat: OpenChat) -> None:
    chat = await open_chat(kept)
    await chat.ask("first")
    line = chat.page.locator("#chats-panel li", has_text="first")
    await line.hover()
    await line.locator(".chats-more").click()
    second = await tab(chat.page.context, kept)
    await second.ask("second")
    await expect(lines(chat.page)).to_have_text(["second", "first"])
    await chat.page.get_by_role("menuitem", name="Rename").click()
    await expect(chat.page.locator("#chats-panel li input")).to_be_focused()
    await chat.page.keyboard.type("Number one")
    await chat.page.keyboard.press("Enter")
    await expect(lines(chat.page)).to_have_text(["second", "Number one"])
    await expect(chat.page.locator(".chats-more").last).to_have_attribute("aria-label", re.compile("Number one$"))


async def test_rename_pin_search_delete_and_undo(kept: str, open_chat: OpenChat) -> None:
    chat = await open_chat(kept)
    await chat.ask("first")
    await chat.page.locator(".chats-new").click()
    await expect(chat.questions).to_have_count(0)
    await chat.ask("second")
    await menu(chat.page, "first", "Rename")
    await expect(chat.page.locator("#chats-panel li input")).to_be_focused()
    await chat.page.keyboard.type("Number one")
    await chat.page.keyboard.press("Enter")
    await menu(chat.page, "Number one", "Pin")
    await expect(lines(chat.page)).to_have_text(["Number one", "second"])
    await chat.page.locator("#chats-panel input").fill("you said: second")
    await expect(lines(chat.page)).to_have_text(["second"])
    await chat.page.locator("#chats-panel input").fill("")
    await menu(chat.page, "second", "Delete")
    await expect(lines(chat.page)).to_have_text(["Number one"])
    await expect(chat.questions).to_have_count(0)
    await undo(chat.page).click()
    await expect(lines(chat.page)).to_have_text(["Number one", "second"])
    await expect(await chat.answered(1)).to_contain_text("You said: second")


async def test_regenerate_keeps_the_old_answer_and_a_fork_is_a_new_chat(kept: str, open_chat: OpenChat) -> None:
    chat = await open_chat(kept)
    await chat.ask("first")
    await chat.ask("second")
    await chat.button("Retry")
    pager = chat.answers.nth(1).locator(".pager")
    await expect(pager).to_contain_text("2/2")
    await pager.get_by_role("button", name="Earlier version").click()
    await expect(pager).to_contain_text("1/2")
    await chat.answers.first.get_by_role("button", name="Go on from here in a new chat").click()
    await expect(chat.questions).to_have_count(1)
    await expect(lines(chat.page)).to_have_count(2)


async def test_a_message_typed_meanwhile_waits_and_can_be_taken_back(kept: str, open_chat: OpenChat) -> None:
    chat = await open_chat(kept)
    await chat.send("talk slowly")
    await expect(chat.answers.first).to_contain_text("word word")
    waiting = chat.page.locator(".waiting-message span")
    for text in ("say: next", "never mind"):
        await chat.send(text)
        await expect(chat.composer).to_have_value("")
    await expect(waiting).to_have_text(["say: next", "never mind"])
    await chat.page.get_by_role("button", name="Take back").last.click()
    await expect(waiting).to_have_text(["say: next"])
    await chat.page.get_by_role("button", name="Stop the answer and send this now").click()
    await expect(await chat.answered(2)).to_contain_text("next")
    await expect(waiting).to_have_count(0)


async def test_what_waits_leaves_the_composer_where_the_server_is_far_away(kept: str, open_chat: OpenChat) -> None:
    chat = await open_chat(kept)
    await move_away(chat.page, 250)
    await chat.set("max-tokens", 2000)
    await chat.send("talk slowly")
    await expect(chat.answers.first).to_contain_text("word word")
    for text in ("one", "another", "a third"):
        await chat.send(text)
        await expect(chat.composer).to_have_value("")
    await expect(chat.page.locator(".waiting-message span")).to_have_text(["one", "another", "a third"])
    await chat.stop.click()


async def test_a_temporary_chat_is_in_no_list(kept: str, open_chat: OpenChat) -> None:
    chat = await open_chat(kept)
    await chat.page.get_by_role("button", name="Temporary chat").click()
    await expect(chat.page.locator("body")).to_have_class(re.compile("temporary-chat"))
    await chat.ask("between us")
    await expect(lines(chat.page)).to_have_count(0)
    assert "chat=" not in chat.page.url


async def test_a_link_with_its_code_opens_in_another_browser(kept: str, open_chat: OpenChat, browser: Browser) -> None:
    chat = await open_chat(kept)
    await chat.ask("say: for everybody")
    await menu(chat.page, "say: for everybody", "Share a link")
    await chat.page.get_by_role("button", name="Make a link").click()
    await expect(chat.page.locator(".chats-qr svg")).to_be_visible()
    url = await chat.page.locator(".chats-link input").input_value()
    stranger = await browser.new_page()
    await stranger.goto(url)
    await expect(stranger.locator("article.assistant")).to_contain_text("for everybody")
    await chat.page.get_by_role("button", name="Revoke").click()
    await expect(chat.page.get_by_role("button", name="Revoke")).to_have_count(0)
    await stranger.reload()
    await expect(stranger.locator("article")).to_have_count(0)
    await stranger.close()


async def test_a_draft_outlives_its_chat(kept: str, open_chat: OpenChat) -> None:
    chat = await open_chat(kept)
    await chat.ask("first")
    await expect(chat.page).to_have_url(ADDRESS)
    await chat.composer.fill("a draft")
    second = await tab(chat.page.context, kept)
    await menu(second.page, "first", "Delete")
    await second.composer.fill("begun elsewhere")
    await chat.page.reload()
    await expect(chat.page.locator("#notice")).to_contain_text("it was deleted")
    await expect(chat.composer).to_have_value("a draft\nbegun elsewhere")
    await chat.page.reload()
    await expect(chat.composer).to_have_value("a draft\nbegun elsewhere")


GONE = "deadbeef" * 4


async def test_the_address_of_a_chat_that_is_gone_says_so_and_keeps_its_question(
    kept: str, open_chat: OpenChat
) -> None:
    chat = await open_chat(f"{kept}/?chat={GONE}&q=my+question", locale="zh-CN")
    await expect(chat.page.locator("#notice")).to_contain_text("已被删除")
    await expect(chat.composer).to_have_value("my question")
    await expect(chat.page).to_have_url(f"{kept}/")
    await chat.page.reload()
    await expect(chat.composer).to_have_value("my question")
    await expect(chat.page.locator("#notice")).to_be_empty()
    await chat.ask("say: here")
    await expect(chat.page.locator("#notice")).to_be_empty()


async def test_a_proposed_question_joins_the_chat_of_its_link(kept: str, open_chat: OpenChat) -> None:
    chat = await open_chat(kept)
    await chat.ask("first")
    await expect(chat.page).to_have_url(ADDRESS)
    await chat.composer.fill("begun")
    await chat.page.goto(f"{chat.page.url}&q=and+this")
    await expect(await chat.answered(1)).to_contain_text("You said: first")
    await expect(chat.composer).to_have_value("begun\nand this")
    await expect(chat.page).to_have_url(ADDRESS)


async def test_a_double_click_on_fork_makes_one_chat(kept: str, open_chat: OpenChat) -> None:
    chat = await open_chat(kept)
    await move_away(chat.page, 200)
    await chat.ask("first")
    fork = chat.page.get_by_role("button", name="Go on from here in a new chat")
    await fork.dblclick()
    await fork.click()  # impatient: the new chat is still on its way
    await expect(lines(chat.page)).to_have_count(2)
    await chat.ask("say: on")  # by its end, a third would be listed
    await expect(lines(chat.page)).to_have_count(2)


async def test_what_is_typed_once_a_fork_is_asked_for_is_meant_for_the_fork(kept: str, open_chat: OpenChat) -> None:
    chat = await open_chat(kept)
    await chat.ask("the first chat")
    await chat.composer.fill("of the first")
    go = await hold_requests(chat.page, "**/gradio_api/{queue/join,run/predict}*")
    await chat.page.get_by_role("button", name="Go on from here in a new chat").click()
    await chat.composer.press("End")
    await chat.composer.press_sequentially(" and of the fork")
    go.set()
    await expect(lines(chat.page)).to_have_count(2)
    await expect(chat.composer).to_have_value(" and of the fork")
    await lines(chat.page).last.click()
    await expect(chat.composer).to_have_value("of the first")


async def test_a_double_click_makes_one_link_and_undoes_once(kept: str, open_chat: OpenChat) -> None:
    chat = await open_chat(kept)
    await chat.ask("first")
    await menu(chat.page, "first", "Share a link")
    await move_away(chat.page, 200)
    await chat.page.get_by_role("button", name="Make a link").dblclick()
    await expect(chat.page.locator(".chats-qr svg")).to_be_visible()
    await expect(chat.page.get_by_role("button", name="Revoke")).to_have_count(1)
    await chat.page.keyboard.press("Escape")
    await menu(chat.page, "first", "Delete")
    await expect(lines(chat.page)).to_have_count(0)
    await undo(chat.page).dblclick()
    await expect(lines(chat.page)).to_have_count(1)
    await chat.answered(1)
    await expect(chat.page.locator(".chats-said")).to_be_empty()  # no refusal either


async def test_deleting_a_chat_stops_its_answer_and_undo_brings_what_was_written(
    kept: str, open_chat: OpenChat
) -> None:
    chat = await open_chat(kept)
    await chat.set("max-tokens", 2000)
    await chat.send("talk slowly")
    await expect(chat.answers.first).to_contain_text("word word")
    await menu(chat.page, "talk slowly", "Delete")
    await expect(chat.questions).to_have_count(0)
    await undo(chat.page).click()
    answer = await chat.answered(1)
    await expect(answer).to_contain_text("word word")
    await expect(answer.locator(".run-line")).to_contain_text("Stopped")


@pytest.mark.parametrize("zone", ["Asia/Shanghai", "America/Los_Angeles"])
async def test_a_day_ends_at_midnight_where_the_visitor_is(kept: str, open_chat: OpenChat, zone: str) -> None:
    chat = await open_chat(kept, timezone_id=zone)
    await chat.ask("first")
    heads, midnight = chat.page.locator(".chats-list h2"), datetime.now(ZoneInfo(zone)).replace(hour=0, minute=0)
    for days, name in enumerate(("Today", "Yesterday", "Earlier")):
        later = midnight + timedelta(days=days)
        for moment in (later.replace(minute=5), later.replace(hour=23, minute=55)):
            await chat.page.clock.set_fixed_time(moment)
            await chat.page.evaluate("chatsRefresh()")
            await expect(heads).to_have_text([name])


async def test_undo_shows_the_chat_that_was_being_opened_as_it_was_deleted(kept: str, open_chat: OpenChat) -> None:
    chat = await open_chat(kept)
    page = chat.page
    await chat.ask("soon gone")
    deleted, told = anyio.Event(), anyio.Event()

    async def tell_late(route: Route) -> None:
        answer = await route.fetch()
        if route.request.method == "DELETE":
            deleted.set()
            await told.wait()
        await route.fulfill(response=answer)

    await page.route(re.compile(r"/chats/[0-9a-f]{32}$"), tell_late)
    opens = await hold_requests(page, "**/gradio_api/{queue/join,run/predict}*")
    await lines(page).click()
    await menu(page, "soon gone", "Delete")
    await deleted.wait()
    opens.set()
    await expect(chat.questions).to_have_count(0)  # the chat was not found
    told.set()
    await undo(page).click()
    await chat.answered(1)
