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


def test_one_who_runs_everywhere_keeps_nobody_waiting() -> None:
    queue = FairQueue(3, 10)
    greedy = [queue.join("greedy") for _ in range(6)]
    newcomer = queue.join("other")
    assert newcomer.admitted
    assert queue.running == 4
    queue.leave(greedy[0])
    queue.leave(greedy[1])
    assert [place.admitted for place in greedy[2:]] == [True, True, False, False][: len(greedy) - 2]
    queue.leave(newcomer)
    assert greedy[3].admitted


def test_a_flood_fills_no_queue_for_another() -> None:
    queue = FairQueue(1, 8)
    flood = [queue.join("greedy") for _ in range(9)]
    assert queue.queued == 8
    with pytest.raises(TooManyRequests):
        queue.join("greedy")
    assert queue.position(queue.join("other")) == 1
    with pytest.raises(TooManyRequests):
        queue.join("other")  # one place he finds in a full queue, and no more
    for place in flood[1:6]:
        queue.leave(place)
    queue.join("greedy")  # half of the queue is his while another is there
    with pytest.raises(TooManyRequests):
        queue.join("greedy")


def test_guests_fill_a_queue_and_leave_room_beyond_it_to_others() -> None:
    queue = FairQueue(1, 4)
    for number in range(5):
        queue.join(f"guest {number}")
    with pytest.raises(TooManyRequests):
        queue.join("guest of one link more")
    queue.join("ada")
    queue.join("bob")


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
                others = [place for place in inside if place.user != step]
                mine = sum(place.user == step and not place.admitted for place in inside)
                assert len(inside) >= running_limit + queue_limit or (others and mine >= max(1, queue_limit // 2))
        elif inside:
            queue.leave(inside.pop(step % len(inside)))
        assert queue.running == sum(place.admitted for place in inside)
        assert min(len(inside), running_limit) <= queue.running <= running_limit + (running_limit > 1)
        assert queue.queued <= queue_limit + queue_limit // 2
        if queue.running >= max(2, running_limit) and queue.queued:
            runners = {place.user for place in inside if place.admitted}
            waiters = {place.user for place in inside if not place.admitted}
            assert len(runners) > 1 or waiters == runners  # nobody waits for one who has every place
        assert queue.running + queue.queued == len(inside)
        waiting = sorted(queue.position(place) for place in inside if not place.admitted)
        assert waiting == list(range(1, len(waiting) + 1))


class CountingQueue(FairQueue):
    """Counts how often somebody asks for his place."""

    asked = 0

    def position(self, place: QueuePlace) -> int:
        self.asked += 1
        return super().position(place)


@pytest.mark.anyio
async def test_who_comes_and_goes_does_not_wake_all_who_wait() -> None:
    queue = CountingQueue(2, 200)
    running = [queue.join("a"), queue.join("b")]
    waiting = [queue.join(f"user-{number}") for number in range(200)]
    tasks = [asyncio.create_task(queue.next_position(place, queue.position(place))) for place in waiting]
    await asyncio.sleep(0)
    queue.asked = 0
    queue.leave(running[0])
    for _ in range(50):
        queue.leave(queue.join("new"))
        await asyncio.sleep(0)
    assert sum(task.done() for task in tasks) == 1
    assert queue.asked < 50  # not one for each who waits, at each change
    for place in waiting:
        queue.leave(place)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
