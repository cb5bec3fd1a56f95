"""Whose word about the sender of a request is taken."""

from __future__ import annotations

import pytest
from starlette.datastructures import Headers
from starlette.types import Scope

from qwen_app.http.forwarded import TrustedProxies, without_forwarding

PROXIES = TrustedProxies.parse("10.0.0.7, 100.64.0.0/10,fd00::/8")


def scope(client: str, *headers: tuple[str, str]) -> Scope:
    raw = [(name.encode(), value.encode()) for name, value in headers]
    return {"type": "http", "scheme": "http", "client": (client, 5000), "headers": raw}


@pytest.mark.parametrize("client", ["10.0.0.7", "::ffff:10.0.0.7", "100.100.1.1", "fd00::1"])
@pytest.mark.parametrize(
    ("lines", "sender"),
    [
        (["203.0.113.5"], "203.0.113.5"),
        (["6.6.6.6, 203.0.113.5"], "203.0.113.5"),
        (["203.0.113.5", "100.64.9.9"], "203.0.113.5"),
        (["203.0.113.5", "6.6.6.6"], "6.6.6.6"),
        (["6.6.6.6", "203.0.113.5, 10.0.0.7"], "203.0.113.5"),
        (["203.0.113.5:1234"], "203.0.113.5"),
        (["[2001:db8::1]:99"], "2001:db8::1"),
        (["evil, 203.0.113.5"], "203.0.113.5"),
    ],
)
def test_the_rightmost_address_that_is_no_proxys(client: str, lines: list[str], sender: str) -> None:
    seen = PROXIES.seen_through(scope(client, *(("x-forwarded-for", line) for line in lines)))
    assert seen["client"][0] == sender
    assert "x-forwarded-for" not in Headers(scope=seen)


@pytest.mark.parametrize("line", ["", "evil", "203.0.113.5, evil", "203.0.113.5, "])
def test_what_is_no_address_is_nobodys(line: str) -> None:
    assert PROXIES.seen_through(scope("10.0.0.7", ("x-forwarded-for", line)))["client"][0] == "10.0.0.7"


def test_name_and_scheme_come_from_the_proxy_too() -> None:
    headers = [("host", "127.0.0.1:7860"), ("x-forwarded-proto", "https"), ("x-forwarded-host", "evil, chat.example")]
    seen = PROXIES.seen_through(scope("10.0.0.7", *headers))
    assert seen["scheme"] == "https"
    assert Headers(scope=seen).getlist("host") == ["chat.example"]
    odd = PROXIES.seen_through(scope("10.0.0.7", ("host", "a"), ("x-forwarded-proto", "javascript")))
    assert (odd["scheme"], Headers(scope=odd)["host"]) == ("http", "a")


@pytest.mark.parametrize("client", ["127.0.0.1", "10.0.0.8", "testclient", "::1"])
def test_nobody_else_is_believed(client: str) -> None:
    sent = scope(client, ("host", "a"), ("x-forwarded-for", "10.0.0.7"), ("x-forwarded-host", "b"))
    assert PROXIES.seen_through(sent) is sent
    assert TrustedProxies().seen_through(sent) is sent
    assert without_forwarding(sent)["headers"] == [(b"host", b"a")]


@pytest.mark.parametrize("text", ["proxy.example", "10.0.0.1/8", "10.0.0.0/33", "*", "1.2.3"])
def test_what_is_no_network(text: str) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        TrustedProxies.parse(text)
