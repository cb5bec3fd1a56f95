"""A full queue is said in the visitor's words, and what was typed is not lost."""

from __future__ import annotations

from contextlib import AsyncExitStack

import httpx
import pytest
from playwright.async_api import expect

from qwen_app.testing.scripted_engine import Script, ScriptedEngine
from tests.browser.chat_page import until
from tests.browser.conftest import OpenChat
from tests.browser.serving import running_page

pytestmark = pytest.mark.anyio


async def test_a_full_queue_is_said_in_words(open_chat: OpenChat) -> None:
    engine = ScriptedEngine(Script(["word "] * 1000, token_s=0.5), slots=1, queue_limit=1)
    with running_page(engine, chat_titles=False) as url:
        async with AsyncExitStack() as others:
            client = await others.enter_async_context(httpx.AsyncClient(base_url=url, trust_env=False))
            for _ in range(2):
                body = {"prompt": "Go on", "stream": True, "max_tokens": 1000}
                await others.enter_async_context(client.stream("POST", "/v1/completions", json=body))
            await until(lambda: engine.health().queued == 1)
            chat = await open_chat(url, locale="zh-CN")
            await chat.send("第三个问题")
            await expect(chat.page.get_by_text("排队的请求太多了，请几秒后再试。")).to_be_visible()
            await expect(chat.page.get_by_text("第三个问题").last).to_be_visible()  # to be asked again
