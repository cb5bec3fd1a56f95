"""What a visitor is answered is kept by no cache between him and us: a proxy, a content network, a name that ends like
a file's (web cache deception, CWE-524)."""

from __future__ import annotations

import re

import httpx
import pytest

from qwen_app.testing.scripted_engine import ScriptedEngine
from tests.attacks.page_client import page_client
from tests.browser.serving import running_page

PATHS = (
    *("/", "/config", "/chats", "/chats/server", "/chats/x/export?as=html", "/chats/x/links", "/s/x", "/login"),
    *("/gradio_api/info", "/gradio_api/startup-events", "/gradio_api/app_id", "/health", "/v1/models", "/metrics"),
    *("/config/a.css", "/chats/a.js", "/a.css", "/x/y.png", "/chats/server/a.css", "/s/x.css", "/chats/qr?url=x"),
)


def test_no_answer_of_a_visitor_s_may_be_kept() -> None:
    with running_page(ScriptedEngine(), auth="ada:one") as url, page_client(url, "session", ("ada", "one")) as ada:
        for path in PATHS:
            said = ada.http.get(path).headers.get("cache-control", "")
            assert re.search(r"\b(private|no-store)\b", said), (path, said)
        stranger = httpx.get(f"{url}/", trust_env=False, headers={"accept": "text/html"})
        assert "private" in stranger.headers["cache-control"]
        script = re.search(r'src="\.?(/assets/[^"]+\.js)"', ada.http.get("/").text)
        if script is None:
            pytest.fail("the page names no script")
        assert "private" not in ada.http.get(script[1]).headers.get("cache-control", "")
