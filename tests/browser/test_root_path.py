"""The page below a path of a proxy's: everything it asks for lies there, too."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.async_api import expect

from qwen_app.testing.scripted_engine import ScriptedEngine
from tests.browser.conftest import OpenChat
from tests.browser.serving import running_page

pytestmark = [pytest.mark.browser, pytest.mark.anyio]


@pytest.mark.parametrize("settings", [{"root_path": "/qwen"}, {"trusted_proxy": "127.0.0.1"}], ids=["setting", "proxy"])
async def test_a_chat_below_a_path(open_chat: OpenChat, settings: dict[str, Any]) -> None:
    headers = {"x-forwarded-prefix": "/qwen"} if "trusted_proxy" in settings else {}
    with running_page(ScriptedEngine(), **settings) as url:
        chat = await open_chat(f"{url}/qwen/", extra_http_headers=headers)
        asked: list[str] = []
        chat.page.on("request", lambda request: asked.append(request.url))
        await expect(await chat.ask("Hi")).to_contain_text("Hello, world.")
    assert [one for one in asked if one.startswith("http") and not one.startswith(f"{url}/qwen/")] == []
