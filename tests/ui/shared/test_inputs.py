from __future__ import annotations

import math

import pytest

from qwen_app.ui.shared.answer_slot import AnswerSlot
from qwen_app.ui.shared.inputs import language_of, number, session_of, text


@pytest.mark.parametrize(
    ("value", "read"), [(0.5, 0.5), (-3, 0), (9, 2), (None, 1), ("hot", 1), ([], 1), (math.inf, 2), (math.nan, 2)]
)
def test_numbers_are_brought_within_range(value: object, read: float) -> None:
    assert number(value, 0, 2, 1) == read


def test_a_default_out_of_range_is_brought_within_it() -> None:
    assert number(None, 1, 256, 512) == 256


def test_an_empty_field_is_empty_text() -> None:
    assert (text(None), text(""), text("a")) == ("", "", "a")


@pytest.mark.parametrize(("value", "language"), [("zh", "zh"), ("en", "en"), (None, "en"), ("fr", "en")])
def test_languages(value: object, language: str) -> None:
    assert language_of(value) == language


def test_a_session_is_what_it_should_be() -> None:
    slot = AnswerSlot()
    assert session_of(slot, AnswerSlot) is slot
    with pytest.raises(TypeError, match="is a str, not a AnswerSlot"):
        session_of("slot", AnswerSlot)
