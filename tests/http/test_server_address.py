"""The address of another server: what is sent to it, and what everybody may read of it."""

from __future__ import annotations

import base64
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwen_app.http.server_address import ServerAddress


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("http://host:8000/v1", "http://host:8000/v1"),
        ("https://host/v1/", "https://host/v1"),
        ("http://[::1]:8000", "http://[::1]:8000"),
        ("http://ada:secret@host:8000/v1", "http://host:8000/v1"),
        ("http://ada:se@cret@host/v1", "http://host/v1"),
        ("http://secret@host/v1", "http://host/v1"),
        ("http://@host/v1", "http://host/v1"),
        (" http://host/v1/ \r\n", "http://host/v1"),
    ],
)
def test_an_address_is_shown_without_name_and_password(text: str, url: str) -> None:
    address = ServerAddress.parse(text)
    assert address.url == url
    assert "Basic" not in repr(address)


names = st.text(st.characters(blacklist_characters=":", blacklist_categories=("Cs",)), min_size=1)


@given(names, st.text(st.characters(blacklist_categories=("Cs",))))
def test_a_name_and_a_password_are_sent_as_they_were_meant(name: str, password: str) -> None:
    address = ServerAddress.parse(f"http://{quote(name, safe='')}:{quote(password, safe='')}@host:1/v1")
    sent = address.headers("")["Authorization"].removeprefix("Basic ")
    assert base64.b64decode(sent).decode() == f"{name}:{password}"
    assert address.url == "http://host:1/v1"


def test_a_key_is_sent_in_the_place_of_a_password() -> None:
    assert ServerAddress.parse("http://ada:secret@host").headers("k") == {"Authorization": "Bearer k"}
    assert ServerAddress.parse("http://host").headers("k") == {"Authorization": "Bearer k"}
    assert ServerAddress.parse("http://host").headers("") == {}


@pytest.mark.parametrize(
    "text",
    [
        *("", "host:8000/v1", "ftp://ada:hunter2@host", "http://", "http://:80", "http://ada:hunter2@", "http://[x"),
        *("http://ada:hunter2/x@host/v1", "http://ada:hunter2#@host/v1", "http://ada:hunter2?@host/v1"),
        *("http://ada:1234/hunter2@host/v1", "http://ada/hunter2@host/v1", "http://ada:hunter2\udcff@host/v1"),
        *("http://ho\x00st/hunter2", "http://ada:hunter2\n@host/v1"),
        *("http://host/v1?key=hunter2", "http://host/v1#hunter2", "http://host:hunter2/v1", "http://host:70000/v1"),
    ],
)
def test_what_is_no_address_is_refused_without_a_word_of_it(text: str) -> None:
    with pytest.raises(ValueError, match=r"^must ") as refused:
        ServerAddress.parse(text)
    assert "hunter2" not in str(refused.value)
