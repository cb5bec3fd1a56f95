"""Who runs next: bounded, fair, and nobody forgotten or served twice."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from qwen_app.engine.local.scheduler import Scheduler, Ticket
from qwen_app.errors import TooManyRequests
from tests.examples import examples

NEVER = float("inf")


def ticket(name: str, deadline: float = NEVER) -> Ticket:
    return Ticket(name, name[0], deadline)


def submit_all(scheduler: Scheduler, *names: str) -> list[int]:
    return [scheduler.submit(ticket(name)) for name in names]


def admitted(scheduler: Scheduler) -> list[str]:
    return [started.id for started in scheduler.admit()]


def served_in_order(scheduler: Scheduler) -> list[str]:
    """One slot: each ticket ends before the next starts."""
    order = []
    while started := admitted(scheduler):
        order += started
        for name in started:
            scheduler.finish(name)
    return order


def test_scheduler_and_slots_need_no_torch() -> None:
    code = (
        "import sys; sys.modules['torch'] = sys.modules['transformers'] = None\n"
        "from qwen_app.engine.local.scheduler import Scheduler, Ticket\n"
        "from qwen_app.engine.local.compute.prefix_cache import PrefixCache\n"
        "scheduler = Scheduler(slots=1, queue_limit=1)\n"
        "scheduler.submit(Ticket('a', 'u', 1.0))\n"
        "print([ticket.id for ticket in scheduler.admit()], PrefixCache(2).place([1, 2, 3]).slot)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "['a'] 0\n", done.stderr


def test_free_slots_are_taken_at_once() -> None:
    scheduler = Scheduler(slots=2, queue_limit=4)
    assert submit_all(scheduler, "a1", "b1") == [0, 0]
    assert admitted(scheduler) == ["a1", "b1"]
    assert (scheduler.running, scheduler.waiting) == (2, 0)


def test_positions_count_starts() -> None:
    scheduler = Scheduler(slots=1, queue_limit=4)
    assert submit_all(scheduler, "a1", "b1", "c1") == [0, 1, 2]
    admitted(scheduler)
    assert scheduler.positions() == {"b1": 1, "c1": 2}
    scheduler.finish("a1")
    assert scheduler.positions() == {"b1": 0, "c1": 1}


def test_full_queue_refuses_and_changes_nothing() -> None:
    scheduler = Scheduler(slots=1, queue_limit=1)
    submit_all(scheduler, "a1")
    admitted(scheduler)
    submit_all(scheduler, "b1")
    with pytest.raises(TooManyRequests) as refusal:
        scheduler.submit(ticket("c1"))
    assert refusal.value.retry_after_s > 0
    assert scheduler.positions() == {"b1": 1}
    scheduler.finish("b1")
    assert submit_all(scheduler, "c1") == [1]


def test_places_that_start_at_once_do_not_count_as_queue() -> None:
    scheduler = Scheduler(slots=2, queue_limit=0)
    assert submit_all(scheduler, "a1", "b1") == [0, 0]
    with pytest.raises(TooManyRequests):
        scheduler.submit(ticket("c1"))


def test_a_greedy_user_goes_in_turn_with_others() -> None:
    scheduler = Scheduler(slots=1, queue_limit=64)
    submit_all(scheduler, *(f"g{n}" for n in range(5)), "a1", "a2", "b1")
    assert served_in_order(scheduler) == ["g0", "a1", "b1", "g1", "a2", "g2", "g3", "g4"]


def test_slots_go_to_whom_has_fewest() -> None:
    scheduler = Scheduler(slots=3, queue_limit=64)
    submit_all(scheduler, *(f"g{n}" for n in range(5)), "a1")
    assert admitted(scheduler) == ["g0", "a1", "g1"]
    submit_all(scheduler, "b1")
    scheduler.finish("a1")
    assert admitted(scheduler) == ["b1"]


def test_users_who_come_back_one_at_a_time_do_not_starve_one_who_waits() -> None:
    scheduler = Scheduler(slots=1, queue_limit=64)
    submit_all(scheduler, "w1", "w2")
    turns = admitted(scheduler)
    for turn in range(8):
        scheduler.submit(ticket(f"{'ab'[turn % 2]}{turn}"))  # each asks again only when his own answer has ended
        scheduler.finish(turns[-1])
        turns += admitted(scheduler)
    assert turns.index("w2") <= 3


@given(slots=st.integers(1, 4), greedy=st.integers(1, 30), before=st.integers(0, 30))
def test_nobody_waits_for_more_than_one_slot_behind_a_greedy_user(slots: int, greedy: int, before: int) -> None:
    scheduler = Scheduler(slots=slots, queue_limit=64)
    submit_all(scheduler, *(f"g{n}" for n in range(greedy)))
    running = admitted(scheduler)
    for _ in range(min(before, greedy - 1)):
        scheduler.finish(running.pop(0))
        running += admitted(scheduler)
    assert scheduler.submit(ticket("other")) <= 1
    running += admitted(scheduler)
    if "other" not in running:
        scheduler.finish(running.pop(0))
        assert admitted(scheduler)[0] == "other"


def test_one_who_has_every_slot_gives_one_up_for_another() -> None:
    scheduler = Scheduler(slots=3, queue_limit=64)
    submit_all(scheduler, *(f"g{n}" for n in range(6)))
    assert admitted(scheduler) == ["g0", "g1", "g2"]
    assert scheduler.give_way() is None  # nobody else waits
    scheduler.submit(ticket("a1"))
    assert scheduler.give_way() == "g2"
    assert admitted(scheduler) == ["a1"]
    assert scheduler.give_way() is None
    scheduler.submit(ticket("b1"))
    assert scheduler.give_way() is None  # two users run: the next slot that is freed is b's
    scheduler.finish("g0")
    assert admitted(scheduler) == ["b1"]
    scheduler.finish("a1")
    assert admitted(scheduler) == ["g2"]


@given(slots=st.integers(2, 4), queue_limit=st.integers(2, 16), flood=st.integers(1, 40), asks=st.integers(1, 20))
def test_a_flood_leaves_others_a_slot_and_half_the_queue(slots: int, queue_limit: int, flood: int, asks: int) -> None:
    scheduler = Scheduler(slots=slots, queue_limit=queue_limit)
    taken = 0
    for n in range(flood):
        try:
            scheduler.submit(ticket(f"g{n}"))
            taken += 1
        except TooManyRequests:
            break
        admitted(scheduler)
    assert taken == min(flood, slots + queue_limit)
    assert scheduler.submit(ticket("other")) <= 1  # whatever waits, he gets in
    scheduler.give_way()
    assert "other" in admitted(scheduler)
    for n in range(asks):
        try:
            scheduler.submit(ticket(f"g-more{n}"))
        except TooManyRequests:
            break
    waiting = [name for name in scheduler.positions() if name.startswith("g")]
    can_start = max(0, slots - flood - 1)
    assert len(waiting) <= can_start + max(queue_limit // 2, max(0, flood - slots) + 1, 1)


def test_expired_tickets_are_named_running_or_waiting() -> None:
    scheduler = Scheduler(slots=1, queue_limit=4)
    scheduler.submit(ticket("a1", deadline=5.0))
    admitted(scheduler)
    scheduler.submit(ticket("b1", deadline=4.0))
    scheduler.submit(ticket("c1"))
    assert scheduler.expired(3.9) == []
    assert scheduler.expired(4.0) == ["b1"]
    assert sorted(scheduler.expired(1e9)) == ["a1", "b1"]


def test_a_preempted_ticket_is_its_users_next_and_waits_until_one_ends() -> None:
    scheduler = Scheduler(slots=2, queue_limit=4)
    submit_all(scheduler, "a1", "b1", "b2")
    assert admitted(scheduler) == ["a1", "b1"]
    scheduler.requeue("b1")
    assert admitted(scheduler) == []
    assert min(scheduler.positions().values()) == 1
    scheduler.finish("a1")
    assert admitted(scheduler) == ["b1", "b2"]


def test_a_preempted_ticket_alone_starts_again() -> None:
    scheduler = Scheduler(slots=2, queue_limit=4)
    submit_all(scheduler, "a1")
    admitted(scheduler)
    scheduler.requeue("a1")
    assert admitted(scheduler) == ["a1"]


def test_nothing_is_kept_of_users_who_left() -> None:
    scheduler = Scheduler(slots=2, queue_limit=4)
    for n in range(100):
        submit_all(scheduler, f"{chr(200 + n)}1")
        for name in admitted(scheduler):
            scheduler.finish(name)
    sizes = {name: len(value) for name, value in vars(scheduler).items() if hasattr(value, "__len__")}
    assert sizes
    assert not any(sizes.values())


@dataclass
class Life:
    """What became of a ticket."""

    user: str
    deadline: float
    state: str = "waiting"
    starts: int = 0
    preempted: int = 0


class SchedulerMachine(RuleBasedStateMachine):
    """Any order of events against a plain ledger."""

    @initialize(slots=st.integers(1, 4), queue_limit=st.integers(0, 6))
    def build(self, slots: int, queue_limit: int) -> None:
        self.slots, self.queue_limit = slots, queue_limit
        self.usable = slots
        self.scheduler = Scheduler(slots=slots, queue_limit=queue_limit)
        self.lives: dict[str, Life] = {}

    def of(self, state: str) -> list[str]:
        return [name for name, life in self.lives.items() if life.state == state]

    def has_room(self, user: str) -> bool:
        """Half of a queue for one of several users, all of it for the only one, half as much again for a newcomer."""
        waiting, running = self.of("waiting"), self.of("running")
        room = max(0, self.usable - len(running))
        mine = [name for name in waiting if self.lives[name].user == user]
        here = {self.lives[name].user for name in (*waiting, *running)}
        if user not in here:
            return len(waiting) < room + self.queue_limit + self.queue_limit // 2
        share = self.queue_limit if here == {user} else max(1, self.queue_limit // 2)
        return len(mine) < room + share and len(waiting) < room + self.queue_limit

    @rule(user=st.sampled_from("abc"), deadline=st.floats(0, 10))
    def submit(self, user: str, deadline: float) -> None:
        name = f"{user}{len(self.lives)}"
        full = not self.has_room(user)
        try:
            position = self.scheduler.submit(Ticket(name, user, deadline))
        except TooManyRequests:
            assert full
            return
        assert not full
        self.lives[name] = Life(user, deadline)
        assert position == self.scheduler.positions()[name]

    @rule()
    def admit(self) -> None:
        expected = [name for name, place in self.scheduler.positions().items() if place == 0]
        started = [ticket.id for ticket in self.scheduler.admit()]
        assert started == expected
        for name in started:
            life = self.lives[name]
            earlier = [n for n in self.of("waiting") if self.lives[n].user == life.user and not self.lives[n].preempted]
            if not life.preempted:
                assert earlier[0] == name  # a user's own requests keep their order
            life.state = "running"
            life.starts += 1
        assert len(self.of("running")) <= self.usable
        assert not self.of("waiting") or self.of("running")

    @precondition(lambda self: self.of("running"))
    @rule(data=st.data())
    def requeue(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(self.of("running")))
        self.scheduler.requeue(name)
        self.lives[name].state = "waiting"
        self.lives[name].preempted += 1
        self.usable = max(1, len(self.of("running")))

    @rule()
    def give_way(self) -> None:
        running = [self.lives[name].user for name in self.of("running")]
        others = [name for name in self.of("waiting") if self.lives[name].user not in running]
        due = len(set(running)) == 1 and len(running) >= max(2, self.usable) and others
        name = self.scheduler.give_way()
        assert (name is not None) == bool(due)
        if name is not None:
            assert self.lives[name].state == "running"
            self.lives[name].state = "waiting"
            self.lives[name].preempted += 1
            assert next(name for name, place in self.scheduler.positions().items() if place == 0) in others
            assert self.scheduler.give_way() is None

    @precondition(lambda self: self.lives)
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(list(self.lives)))
        self.scheduler.finish(name)
        self.usable = self.slots if self.lives[name].state == "running" else self.usable
        self.lives[name].state = "gone"

    @rule(now=st.floats(0, 10))
    def expire(self, now: float) -> None:
        due = [name for name, life in self.lives.items() if life.state != "gone" and life.deadline <= now]
        assert sorted(self.scheduler.expired(now)) == sorted(due)

    @invariant()
    def counts_agree(self) -> None:
        if hasattr(self, "scheduler"):
            assert self.scheduler.running == len(self.of("running"))
            assert self.scheduler.waiting == len(self.of("waiting"))
            assert set(self.scheduler.positions()) == set(self.of("waiting"))
            assert all(life.starts <= 1 + life.preempted for life in self.lives.values())
            places = Counter(place for place in self.scheduler.positions().values() if place)
            assert sorted(places) == list(range(1, len(places) + 1))  # one each, from 1 up

    def teardown(self) -> None:
        """All that still wait come to run, one after the other."""
        if not hasattr(self, "scheduler"):
            return
        for _ in range(2 * len(self.lives) + 1):
            for name in [ticket.id for ticket in self.scheduler.admit()]:
                self.lives[name].starts += 1
            for name in list(self.lives):
                if self.lives[name].starts:
                    self.scheduler.finish(name)
        assert all(life.starts or life.state == "gone" for life in self.lives.values())
        assert (self.scheduler.running, self.scheduler.waiting) == (0, 0)


TestSchedulerMachine = SchedulerMachine.TestCase
TestSchedulerMachine.settings = settings(max_examples=examples(60), stateful_step_count=30)
