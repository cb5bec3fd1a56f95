"""A page that draws many markdown texts at once, as the chat draws messages: the renderer, our script, our headers."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import gradio as gr
import httpx
from fastapi import FastAPI
from playwright.async_api import Page, expect
from starlette.types import Receive, Scope, Send

from qwen_app.serve.connections import ConnectionLimits
from qwen_app.serve.server import Server, listen, server_config
from qwen_app.settings import Settings
from qwen_app.ui.shared.theme import ALLOWED_DOM, STYLES
from qwen_app.web.wall import wall

DELIMITERS: list[dict[str, str | bool]] = [
    {"left": "$$", "right": "$$", "display": True},
    {"left": "\\[", "right": "\\]", "display": True},
    {"left": "\\(", "right": "\\)", "display": False},
]


# Gradio draws a message again once what it needs, as the script for formulas, has been loaded.
UNTIL_QUIET = """() => new Promise((done) => {
  const quiet_ms = 50;
  let waiting = 0;
  const wait = () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => (changes.disconnect(), done()), quiet_ms);
  };
  const changes = new MutationObserver(wait);
  const everything = { childList: true, subtree: true, characterData: true, attributes: true };
  changes.observe(document.querySelector("#conversation"), everything);
  wait();
})"""


class MarkdownPage:
    """The page in a browser. ``draw`` shows texts as messages, in place of those before, until nothing changes."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self._drawn = 0

    async def draw(self, texts: Sequence[str]) -> None:
        self._drawn += 1
        mark = f"drawn-{self._drawn}"
        await self.page.locator("#texts textarea").fill(json.dumps([*texts, mark]))
        await self.page.get_by_role("button", name="Draw").click()
        await expect(self.page.locator("#conversation").get_by_text(mark, exact=True)).to_be_visible()
        await self.page.evaluate(UNTIL_QUIET)


def _blocks() -> gr.Blocks:
    with gr.Blocks(analytics_enabled=False) as blocks:
        conversation = gr.Chatbot(elem_id="conversation", latex_delimiters=DELIMITERS)
        texts = gr.Textbox(elem_id="texts")
        gr.Button("Draw").click(_messages, texts, conversation)
    blocks._queue.ANALYTICS_MAX_EVENTS = 1  # as the real page has it
    blocks._queue.ANAYLTICS_CACHE_FREQUENCY = sys.maxsize
    return blocks


def _messages(texts: str) -> list[dict[str, object]]:
    return [
        {"role": "user" if number % 2 else "assistant", "content": [{"type": "text", "text": text}]}
        for number, text in enumerate(json.loads(texts))
    ]


@contextmanager
def running_markdown_page() -> Iterator[str]:
    """The page's address."""
    with listen("127.0.0.1", 0) as listener, ThreadPoolExecutor(1, "markdown-page") as thread:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        server = Server(server_config(_nothing, Settings(), ConnectionLimits()))

        async def serve() -> None:
            app = FastAPI()
            head = f"<script>{ALLOWED_DOM.read_text(encoding='utf-8')}</script>"
            gr.mount_gradio_app(app, _blocks(), path="/", ssr_mode=False, head=head, css_paths=STYLES)
            server.config.app = wall(app, Settings())
            async with app.router.lifespan_context(app):
                await server.serve([listener])

        running = thread.submit(asyncio.run, serve())
        try:
            with httpx.Client(transport=httpx.HTTPTransport(retries=10), trust_env=False, timeout=60) as client:
                client.get(url).raise_for_status()
            yield url
        finally:
            server.should_exit = True
            running.result(timeout=20)


async def _nothing(scope: Scope, receive: Receive, send: Send) -> None:
    """Until the app is built."""
