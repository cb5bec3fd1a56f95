from __future__ import annotations

import re
from html import unescape

from hypothesis import given
from hypothesis import strategies as st

from qwen_app.ui.answers.word_difference import LIMIT_WORDS, word_difference_html
from qwen_app.ui.shared.strings import Texts

EN = Texts("en")
texts = st.lists(st.sampled_from(["one", "two", "<b>", "三", "四", "\n", " "]), max_size=20).map("".join)


def said(html: str, without: str) -> str:
    inner = html.removeprefix('<div class="word-difference">').removesuffix("</div>")
    inner = re.sub(f"<{without}>.*?</{without}>", "", inner)
    return unescape(re.sub("</?(?:ins|del)>", "", inner).replace("<br>", "\n"))


@given(texts, texts)
def test_both_texts_can_be_read_from_it(before: str, after: str) -> None:
    html = word_difference_html(before, after, EN)
    if before == after:
        assert "word for word" in html
    else:
        assert said(html, "ins") == before
        assert said(html, "del") == after


def test_it_is_by_words_and_by_letters_in_chinese() -> None:
    assert "a <del>red</del><ins>blue</ins> house" in word_difference_html("a red house", "a blue house", EN)
    assert "今<del>天</del><ins>夜</ins>好" in word_difference_html("今天好", "今夜好", EN)


def test_what_is_too_long_is_said_and_not_computed() -> None:
    html = word_difference_html("a", "a b " * (LIMIT_WORDS + 1), EN)
    assert "Only answers of up to 1,500 words" in html
