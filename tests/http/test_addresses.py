"""Which hosts mean this machine, whoever asks."""

from __future__ import annotations

import pytest

from qwen_app.http.addresses import THIS_MACHINE, host_of_header, host_of_url, household_of, is_loopback, user_at


@pytest.mark.parametrize(
    ("host", "own"),
    [
        ("127.0.0.1", True),
        ("127.1.2.3", True),
        ("::1", True),
        ("localhost", True),
        ("LOCALHOST", True),
        ("0.0.0.0", False),
        ("::", False),
        ("10.0.0.1", False),
        ("pod.example", False),
    ],
)
def test_loopback(host: str, own: bool) -> None:
    assert is_loopback(host) is own


@pytest.mark.parametrize(
    ("header", "host"),
    [
        ("localhost:7860", "localhost"),
        ("LocalHost", "localhost"),
        ("[::1]:7860", "::1"),
        ("127.0.0.1", "127.0.0.1"),
        ("", ""),
        ("[bad", ""),
    ],
)
def test_the_host_of_a_header(header: str, host: str) -> None:
    assert host_of_header(header) == host


@pytest.mark.parametrize(
    ("url", "host"), [("https://chat.example/v1", "chat.example"), ("null", ""), ("http://[bad", ""), ("", "")]
)
def test_the_host_of_a_url(url: str, host: str) -> None:
    assert host_of_url(url) == host


def test_an_ipv6_address_counts_with_its_network() -> None:
    assert household_of("2001:db8::1") == household_of("2001:db8::2:3") != household_of("2001:db8:0:1::1")
    assert household_of("::ffff:1.2.3.4") == household_of("1.2.3.4") == "1.2.3.4"
    assert household_of("testclient") == "testclient"


def test_who_has_no_login_is_the_same_user_at_every_address_of_his_network() -> None:
    assert user_at("2001:db8::1") == user_at("2001:db8::2:3") != user_at("2001:db8:0:1::1")
    assert user_at("::ffff:1.2.3.4") == user_at("1.2.3.4") != user_at("1.2.3.5")
    assert user_at("::1") == user_at("127.0.0.1") == user_at("") == THIS_MACHINE
