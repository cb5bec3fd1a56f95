"""What a search compares: alike is what a reader takes for alike, and nothing is folded twice."""

from __future__ import annotations

import sys
from unicodedata import combining

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwen_app.searched_text.folding import folded

PIECES = [
    *("违", "约", "か", "\u3099", "ﾊ", "ﾞ", "\n", " ", "\r\n", "\u00ad"),
    *("ﬁ", "ß", "Ａ", "１", "a", "İ", "，", "\u0301", "\ufdfa", "ΐ"),
    *("é", "đ", "\u20d0", "\u1dce"),
    *("\u0301\u0323" * 15, "\u0344" * 29, "\u0f73" * 30, "\u0345"),
]


@given(st.one_of(st.text(), st.lists(st.sampled_from(PIECES)).map("".join)))
def test_what_is_folded_stays_as_it_is(text: str) -> None:
    assert folded(folded(text)) == folded(text)


@pytest.mark.parametrize(
    ("text", "alike"),
    [
        ("２０２４年ＧＰＵ", "2024年gpu"),
        ("违\n约金", "违约金"),
        ("違 \r\n \t約", "違約"),
        ("データ\nベース", "データベース"),
        ("two\nwords", "two\nwords"),
        ("한국\n사람", "한국\n사람"),
        ("GPU\n销量", "gpu\n销量"),
        ("价格 数量", "价格 数量"),
        ("HAUPTSTRASSE", "hauptstraße".casefold()),
        ("co\u00adoperate", "cooperate"),
        ("Müller, Besançon, résumé", "muller, besancon, resume"),
        ("Mu\u0308ller x\u0302", "muller x"),
        ("Việt Nam, Łódź", "viet nam, łodz"),
        ("6 ÷ 2 × 3", "6 ÷ 2 × 3"),
        ("Мой ёж", "мой ёж"),
    ],
)
def test_texts_that_read_alike_are_alike(text: str, alike: str) -> None:
    assert folded(text) == alike


def test_a_run_of_blanks_costs_no_more_than_its_length() -> None:
    assert folded("违\n" + " " * 2_000_000 + "x").endswith(" x")


def test_a_pile_of_accents_costs_no_more_than_its_length() -> None:
    assert len(folded("a" + "\u0301\u0323" * 1_000_000 + "b")) < 50


def test_every_mark_that_can_be_piled_up_is_one_of_a_pile() -> None:
    marks = [chr(code) for code in range(sys.maxunicode + 1) if combining(chr(code))]
    assert [mark for mark in marks if len(folded("a" + mark * 1000)) > 200] == []
