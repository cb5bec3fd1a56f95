"""However greedy the others are, and however many links or cookies one of them has: whoever comes later finds room."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from qwen_app.fair_share import BROWSERS, GUESTS, Held, crowd_of, has_room, held_by, is_guest

IN_ALL = 1_000
LOGINS = ["ada", "bob", "mallory"]
USERS = st.sampled_from([*LOGINS, *(f"{crowd}{number}" for crowd in (GUESTS, BROWSERS) for number in range(20))])


@given(st.lists(st.tuples(USERS, st.integers(1, IN_ALL)), max_size=80))
def test_each_leaves_half_of_what_he_found(wishes: list[tuple[str, int]]) -> None:
    holds: Counter[str] = Counter()
    for user, size in wishes:
        if has_room(size, held_by(user, holds.items()), IN_ALL):
            holds[user] += size
    greedy = len({crowd_of(name) or name for name in holds})
    free = IN_ALL - holds.total()
    assert free >= IN_ALL // 2**greedy
    assert has_room(free // 2, held_by("carol", holds.items()), IN_ALL)


def test_one_alone_may_hold_half() -> None:
    assert has_room(IN_ALL // 2, Held(0, 0, 0), IN_ALL)
    assert not has_room(IN_ALL // 2 + 1, Held(0, 0, 0), IN_ALL)
    assert not has_room(1, Held(*[IN_ALL // 2] * 3), IN_ALL)


def test_a_login_may_be_called_guest() -> None:
    assert not is_guest("guest")
    assert not is_guest("login guest")
    assert not crowd_of("login browser 1")
