"""A chat brought in from a file is somebody's text in every field: drawn, exported and shared, none of it runs.

Peers were taken over by it: stored scripts in shared and imported conversations.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, BrowserContext, Page, expect

from qwen_app.testing.scripted_engine import ScriptedEngine
from tests.browser.hostile_markdown import EVIL
from tests.browser.serving import running_page

pytestmark = pytest.mark.anyio

OUTSIDE_THE_LIST = Path(__file__).with_name("outside_the_list.js").read_text(encoding="utf-8")
HOSTILE = (
    f"\"'><img src=x onerror=pwn()><script>pwn()</script><svg onload=pwn()>[a](javascript:pwn())![x]({EVIL}/a)"
    "</title></style></textarea>{{7*7}}${pwn()}<iframe srcdoc='<script>parent.pwn()</script>'>"
)


def hostile_chat() -> bytes:
    section = {"kind": "lines", "first": 1, "last": 1, "text": HOSTILE, "title": HOSTILE}
    document = {"name": HOSTILE, "kind": HOSTILE, "sections": [section], "notes": []}
    texts = dict.fromkeys(("error_code", "error_text", "model", "revision", "precision"), HOSTILE)
    numbers = {"prompt_tokens": 5, "completion_tokens": 7, "total_s": 1.5, "seed": 3, "left_out": [0, 99, -1]}
    scores = [{"text": HOSTILE, "probability": 0.1, "others": [[HOSTILE, 0.9]]}]
    settings = dict.fromkeys(("system", "start", "schema", "stop", "temperature", "hold", "problem"), HOSTILE)
    question = {
        "id": "q",
        "parent_id": None,
        "role": "user",
        "content": HOSTILE,
        "settings": {"documents": [{"document": document, "tokens": 3, "pages": HOSTILE}], "hold": HOSTILE},
    }
    answer = {
        "id": "a",
        "parent_id": "q",
        "role": "assistant",
        "content": f"{HOSTILE}\n\n```mermaid\n{HOSTILE}\n```\n$${HOSTILE}$$",
        "settings": settings,
        "run": {"reason": "failed", **texts, **numbers, "scores": scores},
    }
    messages = [
        question,
        answer,
        {**answer, "id": "b", "run": {"reason": "stop", **texts, **numbers, "scores": scores}},
    ]
    return json.dumps({"format": "qwen-chat", "version": 1, "title": HOSTILE, "messages": messages}).encode()


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with running_page(ScriptedEngine()) as address:
        yield address


@pytest.fixture
async def context(browser: Browser) -> AsyncGenerator[BrowserContext, None]:
    made = await browser.new_context()
    yield made
    await made.close()


async def watched(context: BrowserContext, happened: list[str]) -> Page:
    page = await context.new_page()
    await page.expose_function("pwn", lambda *_: happened.append("a script ran"))
    page.on("request", lambda request: happened.append(request.url) if request.url.startswith(EVIL) else None)
    page.on("popup", lambda _: happened.append("a window opened"))
    return page


async def test_an_imported_chat_is_only_drawn(context: BrowserContext, url: str) -> None:
    happened: list[str] = []
    page = await watched(context, happened)
    await page.goto(url)
    await page.locator("#composer textarea").wait_for()
    brought = await context.request.post(f"{url}/chats/import", data=hostile_chat())
    chat_id = (await brought.json())["id"]
    await page.goto(f"{url}/?chat={chat_id}")
    await expect(page.locator("#conversation .bot")).not_to_have_count(0)
    for summary in await page.locator("#conversation summary").all():
        await summary.click()
    await page.locator("#chats-panel").get_by_text("<img").first.wait_for()
    assert await page.evaluate(OUTSIDE_THE_LIST) == []
    assert await page.locator("#conversation :is(img, iframe, svg[onload]), #chats-panel :is(img, iframe)").count() == 0
    link = await context.request.post(f"{url}/chats/{chat_id}/links", data=json.dumps({"days": 1}))
    shared = await watched(context, happened)
    await shared.goto(f"{url}/{(await link.json())['path']}")
    await expect(shared.locator("article")).to_have_count(2)
    assert await shared.locator("img, script, iframe, svg, a").count() == 0
    exported = await context.request.get(f"{url}/chats/{chat_id}/export?as=html")
    await shared.set_content(await exported.text())
    await expect(shared.locator("article")).to_have_count(2)
    assert await shared.locator("img, script, iframe, svg, a").count() == 0
    name = exported.headers["content-disposition"]
    assert name.isascii()
    assert ";" not in name.partition(";")[2]
    assert happened == []
