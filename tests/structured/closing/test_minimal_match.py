from __future__ import annotations

import re
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwen_app.structured.closing.minimal_match import minimal_match


@pytest.mark.parametrize(
    "pattern",
    [
        "^abc$",
        "a+b*",
        "[^a]{3}",
        r"\d{2,}-\w\s",
        "(x|yy|z)+",
        r"^\S+\.(pdf|docx)$",
        "[\\u4e00-\\u9fa5]{2}",
        "^.*end$",
        "",
    ],
)
def test_examples_of_patterns_match_them(pattern: str) -> None:
    text = minimal_match(pattern)
    assert text is not None
    assert re.search(pattern, text)


@given(st.text(max_size=20))
def test_any_text_may_be_a_pattern(pattern: str) -> None:
    text = minimal_match(pattern)
    assert text is None or len(text) <= 256


@pytest.mark.parametrize("pattern", ["(a{1000}){10000}", "(a{1000}b){10000}", "((ab{99}){99}){99}"])
def test_repeats_are_cut_before_they_are_written_out(pattern: str) -> None:
    tracemalloc.start()
    try:
        minimal_match(pattern)
        _, most_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most_bytes < 500_000


def test_what_no_example_is_made_for() -> None:
    for pattern in ("(", r"\p{L}", "(?=a)b", r"(a)\1"):
        assert minimal_match(pattern) is None
