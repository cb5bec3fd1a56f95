"""Browsers: which pages may use the API, and what a browser is told before and with the answer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from qwen_app.errors import SettingsError
from qwen_app.settings import Settings, load_settings
from tests.attacks.walled_server import Walled, api_app, walled

PAGE = "https://app.example"
CHAT = "/v1/chat/completions"
BODY = {"model": "default", "messages": [{"role": "user", "content": "Hi"}]}


@pytest.fixture(scope="module")
def server() -> Iterator[Walled]:
    with served(api_origins=f"{PAGE},app://obsidian.md") as running:
        yield running


def served(**settings: Any) -> Any:
    return walled(api_app(Settings(**settings)), **settings)


def asked(server: Walled, method: str, path: str, origin: str, **headers: str) -> httpx.Response:
    sent = {
        "origin": origin,
        "sec-fetch-site": "cross-site",
        **{name.replace("_", "-"): v for name, v in headers.items()},
    }
    with httpx.Client(base_url=server.url, trust_env=False, verify=False, timeout=30) as client:
        return client.request(method, path, headers=sent, json=BODY if method == "POST" else None)


def preflight(server: Walled, origin: str, path: str = CHAT, **headers: str) -> httpx.Response:
    wanted = {"access_control_request_method": "POST", "access_control_request_headers": "authorization,x-stainless-os"}
    return asked(server, "OPTIONS", path, origin, **wanted, **headers)


@pytest.mark.parametrize("origin", [PAGE, "app://obsidian.md"])
@pytest.mark.parametrize("path", [CHAT, "/v1/messages", "/v1/models", "/chat/completions", "/health", "/ready"])
def test_a_named_origin_may_ask_and_read(server: Walled, origin: str, path: str) -> None:
    allowed = preflight(server, origin, path, access_control_request_private_network="true")
    assert allowed.status_code == 204
    assert allowed.headers["access-control-allow-origin"] == origin
    assert allowed.headers["access-control-allow-headers"] == "authorization,x-stainless-os"
    assert allowed.headers["access-control-allow-private-network"] == "true"
    answer = asked(server, "POST", path, origin)
    assert answer.headers["access-control-allow-origin"] == origin  # errors can be read, too
    assert "x-request-id" in answer.headers["access-control-expose-headers"]


def test_every_method_of_the_api_may_be_used(server: Walled) -> None:
    allowed = preflight(server, PAGE, "/v1/vector_stores/x").headers["access-control-allow-methods"].split(", ")
    paths = asked(server, "GET", "/v1/openapi.json", PAGE).json()["paths"].values()
    assert {method.upper() for methods in paths for method in methods} <= set(allowed)


def test_the_description_says_under_which_prefix_its_paths_are() -> None:
    with served(root_path="/qwen") as server:
        assert asked(server, "GET", "/qwen/v1/openapi.json", PAGE).json()["servers"] == [{"url": "/qwen"}]


@pytest.mark.parametrize("origin", ["http://app.example", "https://app.example.evil", "null", "https://other"])
def test_others_are_told_the_setting(server: Walled, origin: str) -> None:
    for refused in (preflight(server, origin), asked(server, "POST", CHAT, origin)):
        assert refused.status_code == 403
        assert "--api-origins" in refused.json()["error"]["message"]
        assert "access-control-allow-origin" not in refused.headers


def test_any_origin_needs_a_key() -> None:
    with served(api_origins="*", api_keys="secret") as server:
        assert preflight(server, "null").headers["access-control-allow-origin"] == "null"
        assert asked(server, "POST", CHAT, PAGE, authorization="Bearer secret").status_code == 200
        assert asked(server, "POST", CHAT, PAGE, x_api_key="secret").status_code == 200
        assert asked(server, "POST", CHAT, PAGE, x_api_key="wrong").status_code == 401
        assert asked(server, "POST", CHAT, PAGE).status_code == 403
    with pytest.raises(SettingsError, match="--api-keys"):
        load_settings(["--api-origins", "*"], {})


@pytest.mark.parametrize("path", ["/health", "/ready", "/metrics", "/v1/models", "/v1/docs", "/v1/openapi.json"])
def test_head_is_get_without_its_body(server: Walled, path: str) -> None:
    with httpx.Client(base_url=server.url, trust_env=False, verify=False, timeout=30) as client:
        head, get = client.head(path), client.get(path)
        assert (head.status_code, head.content, head.headers["content-type"]) == (200, b"", get.headers["content-type"])
        refused = client.head(CHAT)
        assert (refused.status_code, refused.headers["allow"]) == (405, "POST")
