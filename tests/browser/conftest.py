"""Chromium from the system, one server with the built-in model, one with a scripted engine."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, async_playwright, expect

from bench.browser import BROWSERS
from qwen_app.errors import EngineError
from qwen_app.messages import GenerationRequest
from qwen_app.testing.scripted_engine import Script, ScriptedEngine
from tests.browser.chat_page import ChatPage
from tests.browser.hindrance import hands_ms, hinder
from tests.browser.serving import running_app, running_page

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
OpenChat = Callable[..., Awaitable[ChatPage]]
REAL_CONTEXT = 384
PATIENCE_MS = 45_000  # a page takes its time where two cores do everything

expect.set_options(timeout=PATIENCE_MS)


def _chromium() -> str:
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path:
        return path
    if os.environ.get("CI") == "true":
        pytest.fail("The browser tests need Chromium: apt-get install chromium")
    pytest.skip("Chromium was not found. Debian and Ubuntu: apt-get install chromium")


@pytest.fixture(scope="session")
async def browser(anyio_backend: str) -> AsyncGenerator[Browser, None]:
    executable = _chromium()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=executable, args=FLAGS, slow_mo=hands_ms())
        yield browser
        await browser.close()


@pytest.fixture
async def open_chat(browser: Browser) -> AsyncGenerator[OpenChat, None]:
    """Open the page in a browser of its own, where ``script`` runs first; options are those of a browser context."""
    contexts = []

    async def open_chat(url: str, *, script: str = "", **options: Any) -> ChatPage:
        context = await browser.new_context(**{"locale": "en-US", "viewport": {"width": 1440, "height": 900}} | options)
        contexts.append(context)
        await context.add_init_script(script)
        page = await context.new_page()
        await hinder(page)
        return await ChatPage(page).open(url)

    yield open_chat
    for context in contexts:
        await context.close()


@pytest.fixture(scope="session")
def real(builtin_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The whole app as a process, with the built-in model and a small context."""
    log = tmp_path_factory.mktemp("app") / "log"
    with running_app(log, models_dir=builtin_dir.parent, context=REAL_CONTEXT, users=2) as url:
        yield url


def say(request: GenerationRequest) -> Script:
    """The scripted answer: the question says what it should be."""
    question = request.messages[-1].content
    if request.grammar is not None:
        return Script(text=('{"answer"', ": ", '"yes"', "}"))
    if "slowly" in question:
        return Script(text=("word " * 4,) * 6000, token_s=0.25)  # to the most tokens: two minutes, which no test takes
    if "read long" in question:
        return Script(text=("read.",), prefill_s=3600)
    if "break" in question:
        error = EngineError("The engine broke. Try again.")
        return Script(text=("half ", "an ", "answer ", "more"), error=error, error_at=3)
    if "refuse" in question:
        return Script(error=EngineError("Not today."))
    if question.startswith("say: "):
        return Script(text=re.findall(r".+?\b|\s+|.", question.removeprefix("say: "), re.DOTALL))
    return Script(text=("You said: ", question, "."))


@pytest.fixture(scope="session")
def engine() -> ScriptedEngine:
    return ScriptedEngine(say, slots=2, context_tokens=1024)


@pytest.fixture(scope="session")
def scripted(engine: ScriptedEngine) -> Iterator[str]:
    """The whole app on the scripted engine."""
    with running_page(engine, unwatched_s=1, chat_titles=False) as url:
        yield url


@pytest.fixture(scope="module")
def roomy() -> Iterator[str]:
    """The same for one module alone, with room for whole documents and schemas."""
    with running_page(ScriptedEngine(say, context_tokens=8192), chat_titles=False) as url:
        yield url
