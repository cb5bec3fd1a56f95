"""Page and API below a path of a proxy's, whether it takes the path off or leaves it on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette._utils import get_route_path
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from qwen_app.errors import NotFound, SettingsError
from qwen_app.http.root_path import below_root
from qwen_app.settings import Settings, load_settings
from qwen_app.web.wall import DOUBLED
from tests.attacks.walled_server import Walled, api_app, walled

PROXIED: dict[str, Any] = {"trusted_proxy": "127.0.0.1", "api_keys": "secret"}
PIECES = ["/", "/qwen", "/a", "/b", "/q", "/v1/models", "qwen", "/login", "//", "/."]
KEY = {"authorization": "Bearer secret", "x-forwarded-for": "192.0.2.7", "x-forwarded-host": "host.example"}


@pytest.fixture(scope="module")
def behind_a_proxy() -> Iterator[Walled]:
    """A server that believes what a proxy on this machine says."""
    with walled(api_app(Settings(**PROXIED)), **PROXIED) as server:
        yield server


def get(path: str, headers: dict[str, str], **settings: Any) -> httpx.Response:
    with walled(api_app(Settings(**settings)), **settings) as server:
        return server.get(path, headers=headers)


@pytest.mark.parametrize("path", ["/qwen/v1/models", "/v1/models"])
def test_the_setting_names_the_path(path: str) -> None:
    assert get(path, KEY, root_path="/qwen/", **PROXIED).json()["object"] == "list"


@pytest.mark.parametrize("path", ["/a/qwen/v1/docs", "/v1/docs"])
def test_a_trusted_proxy_names_the_path(behind_a_proxy: Walled, path: str) -> None:
    page = behind_a_proxy.get(path, headers=KEY | {"x-forwarded-prefix": "/a/qwen"})
    assert "base_url=&quot;http://host.example/a/qwen/v1&quot;" in page.text


def test_nobody_else_does() -> None:
    assert "/qwen" not in get("/v1/docs", {"x-forwarded-prefix": "/qwen"}).text


@pytest.mark.parametrize("prefix", ["//evil.example", "/a b", "/..", "x", "/a/../b", '/"><script>', "/" + "a" * 101])
def test_what_is_no_path_is_none(behind_a_proxy: Walled, prefix: str) -> None:
    page = behind_a_proxy.get("/v1/docs", headers=KEY | {"x-forwarded-prefix": prefix})
    assert "http://host.example/v1" in page.text
    with pytest.raises(SettingsError, match="--root-path"):
        load_settings(["--root-path", prefix], {})


@pytest.mark.parametrize(
    "own", ["/v1", "/chat/x", "/s", "/g/x", "/login", "/gradio_api", "/manifest.json", "/presenter"]
)
def test_no_path_of_the_apps_own(behind_a_proxy: Walled, own: str) -> None:
    with pytest.raises(SettingsError, match="--root-path"):
        load_settings(["--root-path", own], {})
    page = behind_a_proxy.get("/v1/docs", headers=KEY | {"x-forwarded-prefix": own})
    assert "http://host.example/v1" in page.text


@given(
    root=st.sampled_from(["/qwen", "/a/b", "/a", "/q"]),
    tail=st.lists(st.sampled_from(PIECES), max_size=6),
    data=st.data(),
)
def test_what_is_looked_at_is_what_is_answered(root: str, tail: list[str], data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(["", root, root * 2, root * 3])) + "".join(tail)
    try:
        scope = below_root({"type": "http", "path": path, "raw_path": path.encode()}, root)
    except NotFound:
        return
    assert get_route_path(scope) == scope["path"]
    assert scope["raw_path"] == scope["path"].encode()


@pytest.mark.parametrize(
    "path", ["/qwen/qwen/v1/models", "/qwen/qwen/login", "/qwen/qwen", "/qwen/qwen/qwen/v1/models"]
)
def test_the_path_twice_is_nothing(path: str) -> None:
    response = get(path, KEY, root_path="/qwen", **PROXIED)
    assert (response.status_code, "proxy's path twice" in response.text) == (404, True)


@pytest.mark.parametrize("prefix", ["/s", "/x"])
def test_a_strangers_prefix_opens_nothing_behind_the_login(prefix: str) -> None:
    settings: dict[str, Any] = {"trusted_proxy": "127.0.0.1", "auth": "ada:secret-words"}
    stranger = {"x-forwarded-for": "192.0.2.7", "x-forwarded-prefix": prefix}
    with walled(inner, **settings) as server:
        for path in ("/status/stream", "/uploads/document", "/gradio_api/config"):
            for times in range(4):
                assert server.get(prefix * times + path, headers=stranger).status_code in (401, 404)


async def inner(scope: Scope, receive: Receive, send: Send) -> None:
    """Whatever lies behind the login, routed as Starlette routes."""
    path = get_route_path(scope)
    await Response("open", 404 if path.startswith("/s/") else 200)(scope, receive, send)


def test_the_bare_path_leads_to_the_page() -> None:
    response = get("/qwen", {}, root_path="/qwen")
    assert (response.status_code, response.headers["location"]) == (307, "/qwen/")


def test_the_login_stays_below_it() -> None:
    html = {"accept": "text/html"}
    response = get("/qwen/", html, root_path="/qwen", auth="ada:secret-words")
    assert (response.status_code, response.headers["location"]) == (303, "/qwen/login")
    assert 'action="login"' in get("/qwen/login", html, root_path="/qwen", auth="ada:secret-words").text


@pytest.mark.parametrize("path", ["//v1/chat/completions", "///v1/models", "//ready", "//"])
def test_two_slashes_of_a_base_url_that_ends_in_one_are_named(path: str) -> None:
    """Before the login too, which such a path would else be led to."""
    with walled(api_app(Settings()), root_path="/qwen", host="0.0.0.0", auth="ada:lovelace") as server:
        for asked in (path, f"/qwen{path}"):
            answer = server.get(asked)
            error = answer.json()["error"]
            assert (answer.status_code, error["type"]) == (404, "invalid_request_error")
            assert error["message"] == DOUBLED.format(path=path)
