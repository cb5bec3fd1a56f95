"""The fair queue: bounds, fairness, and places that are given back."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwen_app.engine.fair_queue import FairQueue, QueuePlace
from qwen_app.errors import TooManyRequests

USERS = st.sampled_from("abc")


def test_refuses_beyond_its_bounds() -> None:
    queue = FairQueue(1, 1)
    first, _ = queue.join("a"), queue.join("a")
    with pytest.raises(TooManyRequests):
        queue.join("b")
    queue.leave(first)
    queue.join("b")


def test_nobody_waits_where_nobody_may() -> None:
    queue = FairQueue(1, 0)
    queue.join("a")
    with pytest.raises(TooManyRequests):
        queue.join("b")


def test_a_greedy_user_waits_behind_others() -> None:
    queue = FairQueue(1, 10)
    running = queue.join("greedy")
    waiting = [queue.join("greedy") for _ in range(3)]
    newcomer = queue.join("other")
    assert queue.position(newcomer) == 1
    assert [queue.position(place) for place in waiting] == [2, 3, 4]
    queue.leave(running)
    assert newcomer.admitted


@pytest.mark.anyio
async def test_a_place_that_moved_while_nobody_looked_is_not_missed() -> None:
    queue = FairQueue(1, 10)
    running, waiting = queue.join("a"), queue.join("b")
    last = queue.position(waiting)
    queue.leave(running)
    assert await asyncio.wait_for(queue.next_position(waiting, last), 5) == 0


def test_users_who_come_back_one_at_a_time_do_not_starve_one_who_waits() -> None:
    queue = FairQueue(1, 10)
    running, waiting = queue.join("w"), queue.join("w")
    for turn in range(8):
        newcomer = queue.join("ab"[turn % 2])  # each comes back only when his own request has ended
        queue.leave(running)
        if waiting.admitted:
            break
        running = newcomer
    assert waiting.admitted
    assert turn <= 2


@given(st.lists(st.one_of(USERS, st.integers(0, 30)), max_size=60), st.integers(1, 3), st.integers(0, 5))
def test_bounds_hold_whoever_comes_and_goes(steps: list[str | int], running_limit: int, queue_limit: int) -> None:
    queue = FairQueue(running_limit, queue_limit)
    inside: list[QueuePlace] = []
    for step in steps:
        if isinstance(step, str):
            try:
                inside.append(queue.join(step))
            except TooManyRequests:
                assert len(inside) == running_limit + queue_limit
        elif inside:
            queue.leave(inside.pop(step % len(inside)))
        assert queue.running == min(len(inside), running_limit) == sum(place.admitted for place in inside)
        assert queue.running + queue.queued == len(inside)
        waiting = sorted(queue.position(place) for place in inside if not place.admitted)
        assert waiting == list(range(1, len(waiting) + 1))
