"""What some write in parts and others in one is the same in what is searched, at the cost of its length."""

from __future__ import annotations

import pytest

from qwen_app.searched_text.compounds import compounds, searchable
from tests.attacks.pumped import cost_grows

FAST_S = 0.05


@pytest.mark.parametrize(
    ("parts", "one"),
    [
        ("XR-2000-B", "xr2000b"),
        ("ＸＲ－３００", "xr300"),
        ("e‑mail", "email"),
        ("max_tokens", "maxtokens"),
        ("030 / 1234 56-78", "03012345678"),
        ("DE89 3704 0044 0532", "de89370400440532"),
        ("1,234,567", "1234567"),
        ("1 234", "1234"),
        ("2024-03-05", "20240305"),
    ],
)
def test_parts_are_found_as_one(parts: str, one: str) -> None:
    assert one in searchable(f"the {parts}, they say").split()


@pytest.mark.parametrize(
    "text",
    [
        "one two",
        "a, b",
        "room 5, floor 6",
        "end. Begin",
        "价格-数量",
        "- a",
        "5 apples 6 pears",
        "1.1",
        "12.50",
        "2-3",
        "24/7",
    ],
)
def test_what_stands_apart_is_no_compound(text: str) -> None:
    assert compounds(text) == []


@pytest.mark.parametrize("piece", ["1 ", "1 1a", "a-", "a", "1", "1,234", "a-- "])
def test_looking_for_compounds_costs_the_length_of_the_text(piece: str) -> None:
    assert not cost_grows(compounds, lambda size: piece * size, FAST_S)
