"""When text came is kept in bounded space, and says of any moment how much was there."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwen_app.ui.scores.pace import MOST_POINTS, Point, share_at, with_point

GAPS = st.lists(st.tuples(st.floats(0, 5), st.integers(0, 50)), max_size=60)
ANYTHING = st.lists(st.tuples(st.floats(allow_nan=False), st.integers()), max_size=20)


@given(GAPS)
def test_more_is_there_as_time_passes(gaps: list[tuple[float, int]]) -> None:
    pace: tuple[Point, ...] = ()
    at_s, characters = 0.0, 0
    for gap_s, more in gaps:
        at_s, characters = at_s + gap_s, characters + more
        pace = with_point(pace, at_s, characters)
    shares = [share_at(pace, at_s * step / 20, at_s, characters) for step in range(20)]
    assert shares == sorted(shares)
    assert share_at(pace, at_s, at_s, characters) == 1.0


def test_a_long_answer_keeps_few_points_from_all_of_it() -> None:
    pace: tuple[Point, ...] = ()
    for token in range(5000):
        pace = with_point(pace, token * 0.06, token * 4)
    assert MOST_POINTS / 2 <= len(pace) <= MOST_POINTS
    assert share_at(pace, 150.0, 300.0, 20_000) == pytest.approx(0.5, abs=0.01)


@given(ANYTHING, st.floats(allow_nan=False), st.floats(allow_nan=False), st.integers())
def test_points_may_be_anything(pace: list[Point], passed_s: float, total_s: float, characters: int) -> None:
    assert 0.0 <= share_at(pace, passed_s, total_s, characters) <= 1.0
