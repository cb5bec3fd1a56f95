"""Which cookies are looked at: all of the name that we gave, whoever set them, and no more than so many."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from qwen_app.http.visitors import MOST_COOKIES, cookies_named

VALUES = st.text("azAZ09-_.=", max_size=8)
COOKIES = st.tuples(st.sampled_from(["qwen_session", "qwen_session2", "a", ""]), VALUES)


def named(name: str, *lines: str) -> list[str]:
    headers = [(b"cookie", line.encode("latin-1")) for line in lines]
    return cookies_named(name, {"type": "http", "headers": [(b"accept", b"qwen_session=none"), *headers]})


def test_every_cookie_of_the_name_is_looked_at() -> None:
    assert named("qwen_session", "a=1; qwen_session=one; b", "qwen_session=two;qwen_session2=three", "=; ;;") == [
        "one",
        "two",
    ]


def test_a_page_that_adds_thousands_has_the_first_few_looked_at() -> None:
    many = "; ".join(f"qwen_guest={number}" for number in range(5_000))
    assert named("qwen_guest", "other=1", many) == [str(number) for number in range(MOST_COOKIES)]


@given(st.lists(st.lists(COOKIES, max_size=6), max_size=3), st.sampled_from([";", "; ", " ;\t"]))
def test_values_are_as_they_were_sent_in_whatever_lines(lines: list[list[tuple[str, str]]], between: str) -> None:
    sent = [between.join(f"{name}={value}" for name, value in line) for line in lines]
    values = [value for line in lines for name, value in line if name == "qwen_session"]
    assert named("qwen_session", *sent) == values[:MOST_COOKIES]


@given(st.text(st.characters(max_codepoint=0xFF)))
def test_a_line_of_anything_is_read(line: str) -> None:
    assert len(named("", line)) <= MOST_COOKIES
