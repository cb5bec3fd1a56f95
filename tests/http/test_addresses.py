"""Which hosts mean this machine, whoever asks."""

from __future__ import annotations

import pytest

from qwen_app.http.addresses import host_of_header, host_of_url, is_loopback


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
