"""For those who see little or use no mouse: axe on every screen, names, dialogs, keys."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
from playwright.async_api import Browser, Locator, Page, expect

from qwen_app.serve.loading_page import LoadingGate
from qwen_app.testing.scripted_engine import ScriptedEngine
from tests.browser.axe import faults
from tests.browser.chat_page import ChatPage, open_tab
from tests.browser.conftest import OpenChat
from tests.browser.serving import running_page, serving

pytestmark = pytest.mark.anyio
Screen = Callable[[ChatPage], Awaitable[None]]
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True}
DARK = {"color_scheme": "dark"}
CHINESE = {"locale": "zh-CN"}
RICH = """say: # One

- [x] done
- [ ] open

Text with `code`, a [link](https://example.org) and \\(a<b\\).

| A | B |
|---|---|
| x | y |

```python
# a comment
def f(x: int) -> str:
    return "a" * 3 + str(x)
```
"""


async def empty(chat: ChatPage) -> None:
    await expect(chat.page.locator("#conversation .example").first).to_be_visible()


async def rich(chat: ChatPage) -> None:
    await chat.ask("long question\n" * 20)
    await expect((await chat.ask(RICH)).locator(".katex").first).to_be_visible()


async def failed(chat: ChatPage) -> None:
    await chat.ask("please break")


async def trimmed(chat: ChatPage) -> None:
    for number in range(4):
        await chat.ask(f"turn {number} " + "pad " * 140)


async def lens(chat: ChatPage) -> None:
    await chat.composer.fill("long " * 2000)
    await expect(chat.page.locator("#meter .over")).to_be_visible()


async def documents(chat: ChatPage) -> None:
    give = """() => { const carried = new DataTransfer(); carried.items.add(new File(["word ".repeat(4000)], "a.txt"));
      const options = { bubbles: true, cancelable: true, dataTransfer: carried };
      document.querySelector("#composer").dispatchEvent(new DragEvent("drop", options)); }"""
    await chat.page.evaluate(give)
    await expect(chat.page.locator(".documents-too-much")).to_be_visible()


async def code(chat: ChatPage) -> None:
    await chat.page.locator("#chat-use-code").click()
    await expect(chat.page.locator(".code-dialog .cm-content")).to_be_visible()


async def json_lab(chat: ChatPage) -> None:
    await chat.page.get_by_role("tab", name="JSON").click()
    await expect(chat.page.locator("#schema-check .check")).to_be_visible()


async def tools(chat: ChatPage) -> None:
    await chat.page.get_by_role("tab").nth(2).click()
    await expect(chat.page.locator("#definitions .cm-content")).to_be_visible()


async def compare(chat: ChatPage) -> None:
    await chat.page.evaluate("location.hash = 'compare'")
    await chat.page.locator("#compare-run").click()
    await expect(chat.page.locator("#compare-difference .difference")).to_be_visible()


async def status(chat: ChatPage) -> None:
    await chat.page.evaluate("location.hash = 'status'")
    await expect(chat.page.locator("#status-plots figure").first).to_be_visible()


async def performance(chat: ChatPage) -> None:
    await open_tab(chat.page, "performance")
    await expect(chat.page.locator("#perf-run")).to_be_visible()


async def scenarios(chat: ChatPage) -> None:
    await open_tab(chat.page, "scenarios")
    await chat.page.locator("#scen-hops").click()
    card = chat.page.locator(".scen-card", has=chat.page.locator(".result"))
    await card.locator("summary").click()
    await expect(card.locator("pre").last).to_be_visible()
    await expect(chat.page.locator("#scen-run")).to_be_enabled()


async def presenting(chat: ChatPage) -> None:
    await open_tab(chat.page, "presenting")
    await chat.page.locator(".present-invite [name=name]").fill("Anna")
    await chat.page.locator(".present-invite .primary").click()
    await expect(chat.page.locator("dialog.chats-share svg")).to_be_visible()
    assert await faults(chat.page) == []
    await chat.page.keyboard.press("Escape")
    await expect(chat.page.locator(".present-guests b").first).to_be_visible()


async def files(chat: ChatPage) -> None:
    await open_tab(chat.page, "files")
    await expect(chat.page.locator("#files-ask")).to_be_visible()


async def drawer(chat: ChatPage) -> None:
    await chat.page.locator("#toggle-settings").click()
    await expect(chat.page.locator("#settings-panel")).to_be_in_viewport()


async def settings_over_the_chat(chat: ChatPage) -> None:
    await open_tab(chat.page, "chat")
    await drawer(chat)


async def chats_over_the_chat(chat: ChatPage) -> None:
    await expect(chat.page.locator("#settings-panel")).not_to_be_visible()
    await chat.page.locator("#chats-sidebar > .toggle-button").click()
    await expect(chat.page.locator(".chats-new")).to_be_in_viewport()


SCREENS = [
    *(empty, rich, failed, trimmed, lens, documents, code),
    *(json_lab, tools, compare, files, scenarios, performance, status, presenting),
]


@pytest.mark.parametrize(
    ("looks", "screens"),
    [({}, SCREENS), (PHONE | DARK | CHINESE, [*SCREENS, settings_over_the_chat, chats_over_the_chat])],
    ids=["wide", "phone-dark-chinese"],
)
async def test_axe_finds_nothing_grave(
    scripted: str, open_chat: OpenChat, looks: dict[str, object], screens: list[Screen]
) -> None:
    """One page goes through all of its screens: opening it takes longer than most of them. What a wide page has beside
    the chat, a phone has over it.
    """
    chat = await open_chat(scripted, **looks)
    found = {}
    for screen in screens:
        await screen(chat)
        found[screen.__name__] = await faults(chat.page)
        await chat.page.keyboard.press("Escape")
    assert not {name: those for name, those in found.items() if those}


async def test_axe_finds_nothing_grave_before_the_page(browser: Browser) -> None:
    context = await browser.new_context()
    page = await context.new_page()
    with serving(LoadingGate) as url:
        await page.goto(url)
        assert await faults(page) == []
    with running_page(ScriptedEngine(), auth="ada:secret") as url:
        await page.goto(url)
        assert await faults(page) == []
    await context.close()


async def focus_can_be_seen_on_every_control(chat: ChatPage) -> None:
    await chat.page.locator("#system-prompt textarea").focus()
    unseen = "(({activeElement: at}) => getComputedStyle(at).outlineStyle === 'none' ? at.outerHTML : '')(document)"
    found = []
    for _ in range(9):
        await chat.page.keyboard.press("Tab")
        found.append(await chat.page.evaluate(unseen))
    assert set(found) == {""}


async def focused(page: Page) -> str:
    """Where the focus is: "dialog", or else an element's id."""
    held: str = await page.evaluate(
        "(({activeElement: at}) => at.closest('[role=dialog]') ? 'dialog' : at.id)(document)"
    )
    return held


async def use_from_code_is_a_dialog_that_escape_a_click_outside_and_its_button_close(chat: ChatPage) -> None:
    dialog = chat.page.get_by_role("dialog", name="Use from code")
    ways: list[Callable[[], Awaitable[None]]] = [
        lambda: chat.page.keyboard.press("Escape"),
        lambda: chat.page.mouse.click(5, 450),
        lambda: dialog.get_by_role("button", name="Close").click(),
    ]
    for leave in ways:
        await code(chat)
        await expect(dialog).to_be_visible()
        for _ in range(12):
            await chat.page.keyboard.press("Tab")
            assert await focused(chat.page) in ("dialog", "")  # or the browser's own bar, which has no id
        await leave()
        await expect(chat.page.locator(".code-dialog")).to_have_count(0)
        await expect(chat.page.locator("#chat-use-code")).to_be_focused()
        await expect(chat.page.locator("[inert]")).to_have_count(0)


async def a_message_is_read_by_what_it_says(chat: ChatPage) -> None:
    await chat.ask("say: **bold**")
    for name in ("Your message", "Answer"):
        message = chat.page.get_by_role("article", name=name, exact=True).first
        await expect(message).to_contain_text("bold")
        await expect(message).not_to_have_attribute("aria-label", "<div")


async def escape_leaves_an_edit_and_keeps_the_answer(chat: ChatPage) -> None:
    field = chat.page.locator("#conversation .edit-textarea")
    await chat.open_edit(0)
    await expect(field).to_have_value("say: **bold**")
    await chat.page.keyboard.press("Escape")
    await expect(field).to_have_count(0)
    await expect(chat.answers.first.locator("strong")).to_have_text("bold")


async def keys_go_on_where_something_was_drawn_anew_or_taken_away(chat: ChatPage) -> None:
    page, answer = chat.page, chat.answers.first

    async def press(button: Locator, key: str = "Enter") -> None:
        await button.focus()
        await page.keyboard.press(key)

    await press(page.get_by_role("button", name="Edit"))
    await expect(page.locator("#conversation .edit-textarea")).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("button", name="Edit")).to_be_focused()
    await press(page.get_by_role("button", name="Retry"))
    await expect(answer.locator(".pager")).to_contain_text("2/2")
    await page.wait_for_function("document.activeElement !== document.body")
    await press(answer.get_by_role("button", name="Earlier version"))
    await expect(answer.locator(".pager")).to_contain_text("1/2")
    await expect(answer.get_by_role("button", name="Later version")).to_be_focused()
    await press(answer.locator(".run-card summary"))
    await press(answer.locator("button[name=again]"))
    await expect(answer.locator(".pager")).to_contain_text("3/3")
    await page.wait_for_function("document.activeElement !== document.body")


async def a_key_that_comes_while_something_is_drawn_anew_loses_no_focus(chat: ChatPage) -> None:
    await chat.answered(1)
    edit = chat.page.get_by_role("button", name="Edit")
    await edit.focus()
    await chat.page.keyboard.press("Shift")
    await chat.page.evaluate(
        """() => {
            const pressed = document.activeElement;
            pressed.replaceWith(pressed.cloneNode(true));
            document.body.dispatchEvent(new KeyboardEvent("keydown", { key: "Shift", bubbles: true }));
        }"""
    )
    await expect(edit).to_be_focused()


async def send_and_stop_have_names(chat: ChatPage) -> None:
    await chat.composer.fill("talk slowly")
    await chat.page.get_by_role("button", name="Send", exact=True).click()
    await chat.page.get_by_role("button", name="Stop", exact=True).click()
    await chat.answered(2)


async def test_who_uses_keys_or_hears_the_page_can_do_all_of_it(
    scripted: str, open_chat: OpenChat, subtests: pytest.Subtests
) -> None:
    chat = await open_chat(scripted)
    for promise in (
        focus_can_be_seen_on_every_control,
        use_from_code_is_a_dialog_that_escape_a_click_outside_and_its_button_close,
        a_message_is_read_by_what_it_says,
        escape_leaves_an_edit_and_keeps_the_answer,
        keys_go_on_where_something_was_drawn_anew_or_taken_away,
        a_key_that_comes_while_something_is_drawn_anew_loses_no_focus,
        send_and_stop_have_names,
    ):
        with subtests.test(promise.__name__):
            await promise(chat)


async def test_keys_go_on_where_a_message_waited_and_an_answer_was_stopped(scripted: str, open_chat: OpenChat) -> None:
    chat = await open_chat(scripted)
    await chat.send("write slowly")
    lines = chat.page.locator("#chat-waiting .waiting-message")
    for number, text in enumerate(("one", "two", "three"), 1):
        await chat.send(text)
        await expect(lines).to_have_count(number)

    async def press(name: str) -> None:
        await lines.first.get_by_role("button", name=name).focus()
        await chat.page.keyboard.press("Enter")

    await press("Take back")
    await expect(lines).to_have_count(2)
    await expect(lines.first.get_by_role("button", name="Take back")).to_be_focused()
    await press("Edit")
    await expect(lines).to_have_count(1)
    await expect(chat.composer).to_be_focused()
    await press("Take back")
    await expect(lines).to_have_count(0)
    await expect(chat.composer).to_be_focused()
    await chat.stop.focus()
    await chat.page.keyboard.press("Enter")
    await expect(chat.stop).to_have_count(0)
    await expect(chat.composer).to_be_focused()


async def test_undo_has_the_focus_once_a_chat_was_deleted_by_key(scripted: str, open_chat: OpenChat) -> None:
    chat = await open_chat(scripted)
    page = chat.page
    await chat.ask("first")
    await page.locator(".chats-title").focus()
    await page.keyboard.press("Enter")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await page.keyboard.press("ArrowUp")
    await page.keyboard.press("Enter")
    await expect(page.locator(".chats-said").get_by_role("button", name="Undo")).to_be_focused()
    await page.keyboard.press("Enter")
    await chat.answered(1)
    await expect(page.locator(".chats-title")).to_be_focused()
    await page.keyboard.press("Enter")  # the line of a chat that is opened is drawn anew
    await expect(page.locator(".chats-title")).to_be_focused()
    await page.get_by_role("button", name="Delete everything").click()
    await page.keyboard.press("Escape")
    await expect(page.locator(".chats-said")).to_be_empty()
    for answer in ("Cancel", "Delete"):
        await page.get_by_role("button", name="Delete everything").click()
        await page.locator(".chats-said").get_by_role("button", name=answer).focus()
        await page.keyboard.press("Enter")
        await expect(page.locator(".chats-new")).to_be_focused()


async def test_under_a_finger_tabs_and_icons_are_44_px_high(scripted: str, open_chat: OpenChat) -> None:
    page = (await open_chat(scripted, **PHONE)).page
    await open_tab(page, "json-lab")
    await expect(page.locator("#schema .icon-button-wrapper button").first).to_be_visible()
    small = """() => [...document.querySelectorAll(
        "#tabs > .tab-wrapper .tab-container:not(.visually-hidden) button, .views > .tab-wrapper button, " +
        "#chats-sidebar .toggle-button, #schema .icon-button-wrapper button")]
      .filter((button) => button.checkVisibility({ visibilityProperty: true }))
      .map((button) => button.getBoundingClientRect().height).filter((height) => height && height < 44)"""
    assert await page.evaluate(small) == []
    squeezed = "tabs => tabs.filter(tab => tab.scrollWidth > tab.clientWidth).map(tab => tab.textContent)"
    tabs = page.locator("#tabs > .tab-wrapper .tab-container:not(.visually-hidden) button")
    assert await tabs.evaluate_all(squeezed) == []
