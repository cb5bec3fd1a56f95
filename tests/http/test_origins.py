"""What a request says of the host it went to and the page it came from."""

from __future__ import annotations

import pytest
from starlette.types import Scope

from qwen_app.http.origins import host_line, is_foreign, own_origin


def scope(scheme: str = "http", **headers: str | list[str]) -> Scope:
    pairs = {"host": "chat.example", **{name.replace("_", "-"): value for name, value in headers.items()}}
    lines = [(name, one) for name, value in pairs.items() for one in ([value] if isinstance(value, str) else value)]
    return {"type": "http", "scheme": scheme, "headers": [(n.encode(), v.encode("latin-1")) for n, v in lines]}


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:7860", "[::1]:7860", "[::1]", "a_b-c.example:80", "EXAMPLE"])
def test_hosts(host: str) -> None:
    assert host_line(scope(host=host)) == host


@pytest.mark.parametrize(
    "host",
    [
        *("", " ", "evil@127.0.0.1", "127.0.0.1#x", "127.0.0.1/.evil", "[::1].evil", "[bad", "a:b", "a:123456", "a b"),
        *("127.0.0.1?x", "127.0.0.1\\x", "a,b", "ä.example", "http://a", "::1", "a:", "a\x00"),
    ],
)
def test_what_is_no_host(host: str) -> None:
    assert host_line(scope(host=host)) is None


@pytest.mark.parametrize("lines", [[], ["a", "a"], ["a", "b"]])
def test_one_line_exactly(lines: list[str]) -> None:
    assert host_line(scope(host=lines)) is None


@pytest.mark.parametrize(
    ("headers", "foreign"),
    [
        ({}, False),
        ({"origin": "http://chat.example"}, False),
        ({"origin": "http://chat.example:80"}, False),
        ({"origin": "http://chat.example:81"}, True),
        ({"origin": "https://chat.example"}, True),
        ({"origin": "https://chat.example", "sec_fetch_site": "same-origin"}, False),
        ({"origin": "https://evil.example", "sec_fetch_site": "same-origin"}, True),
        ({"origin": "http://chat.example", "sec_fetch_site": "same-site"}, True),
        ({"origin": "http://chat.example", "sec_fetch_site": ["same-origin", "cross-site"]}, True),
        ({"sec_fetch_site": "none"}, False),
        ({"sec_fetch_site": "same-origin"}, False),
        ({"sec_fetch_site": "same-site"}, True),
        ({"sec_fetch_site": "cross-site"}, True),
        ({"sec_fetch_site": "anything"}, True),
        ({"origin": ["http://chat.example", "http://chat.example"]}, True),
        ({"origin": "null"}, True),
        ({"origin": ""}, True),
        ({"origin": "chat.example"}, True),
        ({"origin": "http://chat.example", "x_forwarded_host": "evil.example"}, False),
        ({"origin": "http://evil.example", "x_forwarded_host": "evil.example"}, True),
    ],
)
def test_pages_of_others(headers: dict[str, str], foreign: bool) -> None:
    assert is_foreign(scope(**headers)) is foreign


def test_allowed_origins() -> None:
    allowed = frozenset(["https://app.example:8443"])
    assert not is_foreign(scope(origin="https://App.example:8443", sec_fetch_site="cross-site"), allowed)
    assert is_foreign(scope(origin="https://app.example"), allowed)
    assert own_origin(scope("https", host="A.example:443")) == "https://a.example"
