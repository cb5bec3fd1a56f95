from __future__ import annotations

import re
from html import unescape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwen_app.ui.shared import word_difference
from qwen_app.ui.shared.word_difference import LIMIT_PIECES, difference_html, words_of

texts = st.text(st.sampled_from("ab <>&'\n中文。"), max_size=60)


@given(texts)
def test_the_words_of_a_text_are_the_text(text: str) -> None:
    assert "".join(words_of(text)) == text


@given(texts, texts)
def test_both_texts_can_be_read_from_their_difference(left: str, right: str) -> None:
    assert read(difference_html(left, right)) == (left, right)


def test_answers_with_no_word_in_common_are_looked_through_for_so_many_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    left, right = (" ".join(f"{letter}{number}" for number in range(40)) for letter in "xy")
    assert difference_html(left, right).count("<del>") == 40
    monkeypatch.setattr(word_difference, "LIMIT_STEPS", 4_000)
    html = difference_html(left, right)
    assert 0 < html.count("<del>") < 40
    assert read(html) == (left, right)


def read(html: str) -> tuple[str, str]:
    """The two texts of a difference."""
    without_new = re.sub(r"<ins>.*?</ins>", "", html, flags=re.DOTALL)
    without_old = re.sub(r"<del>.*?</del>", "", html, flags=re.DOTALL)
    return unescape(re.sub(r"</?del>", "", without_new)), unescape(re.sub(r"</?ins>", "", without_old))


def test_one_word_that_differs() -> None:
    assert difference_html("red and blue", "red and green") == "red and <del>blue</del><ins>green</ins>"
    assert difference_html("我喜欢茶", "我喜欢水") == "我喜欢<del>茶</del><ins>水</ins>"


def test_answers_that_are_too_long_have_no_difference() -> None:
    assert difference_html("a " * LIMIT_PIECES, "b") == ""
