from __future__ import annotations

from typing import Any

import pytest

from qwen_app.settings import Settings
from qwen_app.ui.shared.code_dialog import base_url_of, needs_key


@pytest.mark.parametrize(
    ("headers", "url"),
    [
        ({"origin": "https://pod.example", "host": "127.0.0.1:7860"}, "https://pod.example/v1"),
        ({"origin": "null", "host": "localhost:7860"}, "http://localhost:7860/v1"),
        ({"host": "pod.example", "x-forwarded-proto": "https"}, "https://pod.example/v1"),
        ({}, "http://localhost/v1"),
    ],
)
def test_the_address_the_visitor_uses(headers: dict[str, str], url: str) -> None:
    assert base_url_of(headers) == url


@pytest.mark.parametrize(("settings", "needed"), [({}, False), ({"api_keys": "k"}, True), ({"auth": "a:b"}, True)])
def test_a_key_is_asked_for_where_there_are_keys(settings: dict[str, Any], needed: bool) -> None:
    assert needs_key(Settings(**settings)) is needed
