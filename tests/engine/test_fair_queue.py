"""The gate: bounds, fairness, and places that are given back."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwen_app.engine.fair_queue import Gate, Ticket
from qwen_app.errors import TooManyRequests

USERS = st.sampled_from("abc")


def test_refuses_beyond_its_bounds() -> None:
    gate = Gate(1, 1)
    first, _ = gate.join("a"), gate.join("a")
    with pytest.raises(TooManyRequests):
        gate.join("b")
    gate.leave(first)
    gate.join("b")


def test_nobody_waits_where_nobody_may() -> None:
    gate = Gate(1, 0)
    gate.join("a")
    with pytest.raises(TooManyRequests):
        gate.join("b")


def test_a_greedy_user_waits_behind_others() -> None:
    gate = Gate(1, 10)
    running = gate.join("greedy")
    waiting = [gate.join("greedy") for _ in range(3)]
    newcomer = gate.join("other")
    assert gate.position(newcomer) == 1
    assert [gate.position(ticket) for ticket in waiting] == [2, 3, 4]
    gate.leave(running)
    assert newcomer.admitted


@pytest.mark.anyio
async def test_a_place_that_moved_while_nobody_looked_is_not_missed() -> None:
    gate = Gate(1, 10)
    running, waiting = gate.join("a"), gate.join("b")
    last = gate.position(waiting)
    gate.leave(running)
    assert await asyncio.wait_for(gate.next_position(waiting, last), 5) == 0


@given(st.lists(st.one_of(USERS, st.integers(0, 30)), max_size=60), st.integers(1, 3), st.integers(0, 5))
def test_bounds_hold_whoever_comes_and_goes(steps: list[str | int], running_limit: int, queue_limit: int) -> None:
    gate = Gate(running_limit, queue_limit)
    inside: list[Ticket] = []
    for step in steps:
        if isinstance(step, str):
            try:
                inside.append(gate.join(step))
            except TooManyRequests:
                assert len(inside) == running_limit + queue_limit
        elif inside:
            gate.leave(inside.pop(step % len(inside)))
        assert gate.running == min(len(inside), running_limit) == sum(ticket.admitted for ticket in inside)
        assert gate.running + gate.queued == len(inside)
        waiting = sorted(gate.position(ticket) for ticket in inside if not ticket.admitted)
        assert waiting == list(range(1, len(waiting) + 1))
