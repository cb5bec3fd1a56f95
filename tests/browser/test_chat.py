"""Everything the chat page does, on an engine that says what it is told to."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from qwen_app.chat.json_hint import JSON_HINT
from qwen_app.testing.scripted_engine import ScriptedEngine
from tests.browser.chat_page import hold_requests, until
from tests.browser.conftest import OpenChat

pytestmark = pytest.mark.anyio


async def test_a_message_is_counted_sent_by_keys_or_a_button_and_asked_once(
    scripted: str, open_chat: OpenChat, engine: ScriptedEngine
) -> None:
    chat = await open_chat(scripted)
    asked = len(engine.requests)
    await expect(chat.meter).to_contain_text("4 of 1,024 tokens")
    await chat.composer.fill("three little words")
    await expect(chat.meter).to_contain_text("draft 3")
    await chat.composer.fill("one")
    await chat.composer.press("Shift+Enter")
    await chat.composer.press_sequentially("two")
    await expect(chat.composer).to_have_value("one\ntwo")
    await expect(chat.questions).to_have_count(0)
    for answers, keys in enumerate(("Enter", "Control+Enter", "Meta+Enter"), start=1):
        await chat.composer.press(keys)
        await expect(await chat.answered(answers)).to_contain_text("You said: one")
        await expect(chat.composer).to_have_value("")
        await chat.composer.fill("one and more")
    await chat.page.locator("#composer .submit-button").dblclick()
    await chat.answered(4)
    assert len(engine.requests) == asked + 4


async def test_an_answer_that_ends_early_keeps_what_was_written(
    scripted: str, open_chat: OpenChat, engine: ScriptedEngine
) -> None:
    """Stopped while it is written, stopped before, failed and refused."""
    chat = await open_chat(scripted)
    cancelled = engine.cancelled
    await chat.send("talk slowly")
    await expect(chat.answers.first).to_contain_text("word word")
    await chat.page.keyboard.press("Escape")
    answer = await chat.answered(1)
    await expect(answer).to_contain_text("word word")
    await expect(answer.locator(".run-line")).to_contain_text("Stopped")
    assert engine.cancelled == cancelled + 1

    await chat.send("read long")
    await expect(chat.answers.last.locator(".waiting")).to_be_visible()
    await chat.stop.click()
    await expect((await chat.answered(2)).locator(".run-line")).to_contain_text("Stopped")
    assert engine.cancelled == cancelled + 2

    answer = await chat.ask("please break")
    await expect(answer).to_contain_text("half an answer")
    await expect(answer.locator(".run-error")).to_contain_text("The engine broke. Try again.")
    answer = await chat.ask("refuse this")
    await expect(answer.locator(".run-error")).to_have_text("Not today.")
    await expect(chat.questions.last).to_contain_text("refuse this")
    await expect(await chat.ask("go on")).to_contain_text("You said: go on")


async def test_what_is_sent_is_seen_before_the_server_answers_and_comes_back_where_it_is_refused(
    scripted: str, open_chat: OpenChat
) -> None:
    chat = await open_chat(scripted)
    pending = chat.page.locator(".pending")
    go = await hold_requests(chat.page, "**/queue/join*")
    await chat.send("  **seen** at once")
    await expect(pending.locator(".typed")).to_have_text("**seen** at once")
    await expect(chat.questions).to_have_count(0)
    go.set()
    await expect(await chat.answered(1)).to_contain_text("seen at once")
    await expect(pending).to_have_count(0)
    await chat.page.locator("#seed input").fill("lucky")
    await chat.send("refused")
    await expect(chat.page.locator("#notice")).to_contain_text("The seed must be a whole number")
    await expect(pending).to_have_count(0)
    await expect(chat.questions).to_have_count(1)
    await expect(chat.composer).to_have_value("refused")


async def test_queue_position_and_stop_while_waiting(
    scripted: str, open_chat: OpenChat, engine: ScriptedEngine
) -> None:
    chats = [await open_chat(scripted) for _ in range(3)]
    for chat in chats[:2]:
        await chat.send("talk slowly")
        await expect(chat.answers.first).to_contain_text("word")
    await chats[2].send("hello")
    await expect(chats[2].answers.first.locator(".waiting")).to_contain_text("before you")
    await chats[2].stop.click()
    await expect((await chats[2].answered(1)).locator(".run-line")).to_contain_text("Stopped")
    for chat in chats[:2]:
        await chat.stop.click()
        await chat.answered(1)


async def test_a_closed_tab_frees_its_slot(scripted: str, open_chat: OpenChat, engine: ScriptedEngine) -> None:
    chat = await open_chat(scripted)
    cancelled = engine.cancelled
    await chat.send("read long")
    await expect(chat.answers.first.locator(".waiting")).to_be_visible()
    await chat.page.close()
    await until(lambda: engine.cancelled > cancelled)


async def test_regenerate_edit_and_undo(scripted: str, open_chat: OpenChat, engine: ScriptedEngine) -> None:
    chat = await open_chat(scripted)
    await chat.ask("first")
    await chat.ask("second")
    asked = len(engine.requests)
    await chat.button("Retry")
    await until(lambda: len(engine.requests) > asked)
    await expect(await chat.answered(2)).to_contain_text("You said: second")
    assert [m.content for m in engine.requests[asked].messages] == ["first", "You said: first.", "second"]
    await chat.edit_question(0, "other")
    await expect(await chat.answered(1)).to_contain_text("You said: other")
    assert [m.content for m in engine.requests[-1].messages] == ["other"]
    await chat.button("Undo")
    await expect(chat.questions).to_have_count(0)
    await expect(chat.composer).to_have_value("other")


async def test_new_chat_while_an_answer_comes(scripted: str, open_chat: OpenChat) -> None:
    chat = await open_chat(scripted)
    await chat.send("talk slowly")
    await expect(chat.answers.first).to_contain_text("word word")
    await chat.page.locator(".chats-new").click()
    await expect(chat.questions).to_have_count(0)
    await expect(await chat.ask("fresh")).to_contain_text("You said: fresh")
    await expect(chat.questions).to_have_count(1)


async def test_whoever_types_on_while_a_message_is_on_its_way_keeps_that(
    scripted: str, open_chat: OpenChat, engine: ScriptedEngine
) -> None:
    """On a slow line the composer holds the message until the server has it."""
    chat = await open_chat(scripted)
    go = await hold_requests(chat.page, "**/gradio_api/queue/join*")
    asked = len(engine.requests)
    await chat.composer.fill("one")
    async with chat.page.expect_request("**/gradio_api/queue/join*"):
        await chat.composer.press("Enter")
    await expect(chat.page.locator(".pending")).to_have_text("one")
    await chat.composer.press_sequentially("and two")
    await chat.composer.press("Enter")  # asks neither "one" again nor "oneand two"
    go.set()
    await expect(await chat.answered(1)).to_contain_text("You said: one.")
    await expect(chat.composer).to_have_value("and two")
    assert [request.messages[-1].content for request in engine.requests[asked:]] == ["one"]
    await chat.composer.press("Enter")
    await expect(await chat.answered(2)).to_contain_text("You said: and two.")


async def test_what_is_typed_in_the_place_of_a_message_on_its_way_stays(scripted: str, open_chat: OpenChat) -> None:
    """The server that empties the composer means what it was sent, and nothing else."""
    chat = await open_chat(scripted)
    await chat.send("write slowly")
    await expect(chat.stop).to_be_visible()
    waiting = chat.page.locator("#chat-waiting .waiting-message")
    for keys in (("Control+a",), ("Control+a", "Delete"), ("Backspace",)):
        await chat.composer.fill("")
        go = await hold_requests(chat.page, "**/gradio_api/queue/join*")
        async with chat.page.expect_request("**/gradio_api/queue/join*"):
            await chat.send("one")
        for key in keys:
            await chat.composer.press(key)
        await chat.composer.press_sequentially("two")
        kept = await chat.composer.input_value()
        go.set()
        await expect(waiting).to_contain_text("one")
        await expect(chat.composer).to_have_value(kept)
        await chat.composer.press_sequentially(" three")
        await expect(chat.composer).to_have_value(f"{kept} three")
        await waiting.get_by_role("button", name="Take back").click()
        await expect(waiting).to_have_count(0)


async def test_a_prompt_longer_than_the_context(scripted: str, open_chat: OpenChat) -> None:
    chat = await open_chat(scripted)
    await chat.ask("before")
    measured = await hold_requests(chat.page, "**/run/predict*")  # with the draft measured, it could not be sent
    await chat.send("long " * 2000)
    notice = chat.page.locator("#notice [role=alert]")
    await expect(notice).to_contain_text("needs 2,004 tokens")
    await expect(notice).to_contain_text("of the 1,024 tokens of context")
    await expect(chat.composer).to_have_value("long " * 2000)
    await expect(chat.questions).to_have_count(1)
    measured.set()
    await chat.ask("short")
    await expect(notice).to_have_count(0)


async def test_settings_reach_the_engine(scripted: str, open_chat: OpenChat, engine: ScriptedEngine) -> None:
    chat = await open_chat(scripted)
    await chat.page.locator("#system-prompt textarea").fill("be brief")
    await chat.set("temperature", 0.3)
    await chat.set("top-p", 0.5)
    await chat.set("max-tokens", 33)
    await chat.set("context-tokens", 700)
    await chat.page.locator("#seed input").fill("42")
    await chat.page.locator("#json-mode input").check()
    answer = await chat.ask("hello")
    await expect(answer.locator("pre code")).to_have_text('{"answer": "yes"}\n')
    request = engine.requests[-1]
    assert [(m.role, m.content) for m in request.messages] == [
        ("system", f"be brief\n\n{JSON_HINT}"),
        ("user", "hello"),
    ]
    assert (request.sampling.temperature, request.sampling.top_p) == (0.3, 0.5)
    assert (request.sampling.max_tokens, request.sampling.seed, request.context_tokens) == (33, 42, 700)
    assert request.grammar is not None
