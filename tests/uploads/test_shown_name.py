from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwen_app.uploads.shown_name import LIMIT_NAME_CHARS, shown_name


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("../../etc/pass<b>wd.txt", "pass_b_wd.txt"),
        ("C:\\报价 (2026).docx", "报价 (2026).docx"),
        ('a" onload="x.pdf', "a_ onload=_x.pdf"),
        ("a|b*c`d$e$.csv", "a_b_c_d_e_.csv"),
        ("line\nbreak\x00.txt", "line_break_.txt"),
        ("invoice\u202efdp.exe", "invoicefdp.exe"),
        ("half \ud83d.txt", "half .txt"),
        ("folder/", "document"),
        ("  ", "document"),
    ],
)
def test_what_means_something_elsewhere_is_no_part_of_a_name(name: str, shown: str) -> None:
    assert shown_name(name) == shown


@pytest.mark.parametrize(
    "name",
    [
        "《合同》（最终版）、附件“一”—2026·3月.pdf",
        "plan 🚀 q3.md",
        "John's report! 100% = {done}; #1 & @2 ~ [x].txt",
        "รายงานประจำปี.docx",
        "वार्षिक रिपोर्ट.xlsx",
        "Bericht „Müller“ – 5 €.csv",
    ],
)
def test_names_of_all_languages_stay_as_they_are(name: str) -> None:
    assert shown_name(name) == name


def test_letters_that_were_taken_apart_are_whole() -> None:
    assert shown_name(unicodedata.normalize("NFD", "Résumé 보고서.pdf")) == "Résumé 보고서.pdf"


def test_a_long_name_keeps_its_ending() -> None:
    assert shown_name("x" * 500 + ".pdf") == "x" * (LIMIT_NAME_CHARS - 4) + ".pdf"


@given(st.text())
def test_a_name_is_one_line_that_can_be_written(name: str) -> None:
    shown = shown_name(name)
    assert shown.encode()
    assert len(shown) <= LIMIT_NAME_CHARS
    assert len(shown.splitlines()) == 1
    assert shown_name(shown) == shown
