"""The ledger: whose a session is, and how much one user has, whatever the others do."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwen_app.errors import AppError, NotFound, PermissionDenied, TooManyRequests
from qwen_app.web.page_calls.call import Visitor
from qwen_app.web.page_calls.ledger import Bounds, Ledger

ADA, BOB = Visitor("ada", "ada 1"), Visitor("bob", "bob 1")
ADA_ELSEWHERE = Visitor("ada", "ada 2")


@dataclass
class FakeTables:
    running: set[str] = field(default_factory=set)
    unread_ends: set[tuple[str, str]] = field(default_factory=set)
    forgotten: list[str] = field(default_factory=list)
    unread_messages: int = 0

    def runs(self, event: str) -> bool:
        return event in self.running

    def unread(self, session: str) -> int:
        return self.unread_messages

    def undelivered(self, event: str, session: str) -> bool:
        return (event, session) in self.unread_ends

    def forget_answers(self, session: str) -> None:
        self.unread_ends = {end for end in self.unread_ends if end[1] != session}

    def forget(self, session: str) -> None:
        self.forgotten.append(session)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def ledger(**bounds: int) -> tuple[Ledger, FakeTables, Clock]:
    tables, clock = FakeTables(), Clock()
    return Ledger(tables, Bounds(**bounds), clock), tables, clock


def join(book: Ledger, tables: FakeTables, visitor: Visitor, session: str, event: str, size: int = 1) -> None:
    with book.calling(visitor) as ticket:
        book.call(ticket, session, size)
        tables.running.add(event)
        book.joined(ticket, event)


def test_a_session_is_its_first_users() -> None:
    book, _, _ = ledger()
    book.use(ADA, "s")
    book.use(ADA, "s")
    for other in (BOB, ADA_ELSEWHERE):
        with pytest.raises(PermissionDenied, match="another visitor"):
            book.use(other, "s")


def test_an_event_is_ended_by_its_owner_while_it_is_there() -> None:
    book, tables, _ = ledger()
    join(book, tables, ADA, "s", "e")
    with pytest.raises(PermissionDenied):
        book.may_end(BOB, "e")
    assert book.may_end(ADA, "e")
    tables.running.clear()
    assert not book.may_end(ADA, "e")
    with pytest.raises(NotFound), book.reading(ADA, "", "e"):
        pass


def test_the_oldest_idle_session_of_the_same_user_goes_and_says_so() -> None:
    book, tables, _ = ledger(sessions=2)
    book.use(BOB, "bobs")
    for session in ("one", "two"):
        book.use(ADA, session)
    book.use(ADA, "one")
    book.use(ADA, "three")
    assert tables.forgotten == ["two"]
    with pytest.raises(PermissionDenied, match="Reload the page"):
        book.use(ADA, "two")


def test_sessions_in_use_are_not_taken_away() -> None:
    book, tables, _ = ledger(sessions=2)
    join(book, tables, ADA, "answering", "e")
    with book.reading(ADA, "open"):
        with pytest.raises(TooManyRequests, match="2 tabs"):
            book.use(ADA, "third")
        book.use(BOB, "bobs")
    book.use(ADA, "third")
    assert tables.forgotten == ["open"]


def test_with_all_places_taken_nobody_loses_his() -> None:
    book, tables, clock = ledger(sessions=4, sessions_in_all=4)
    for user, session in ((ADA, "a1"), (ADA, "a2"), (BOB, "b1")):
        book.use(user, session)
    with pytest.raises(TooManyRequests):
        book.use(Visitor("carol", "carol 1"), "c")
    assert tables.forgotten == []
    clock.now = 3601.0
    book.use(BOB, "b")  # nobody has been connected to the old ones for an hour
    assert len(tables.forgotten) == 3


def test_nobody_takes_more_places_than_he_leaves_free() -> None:
    book, tables, _ = ledger(sessions=64, sessions_in_all=12)
    with contextlib.ExitStack() as open_tabs:
        for n in range(6):
            open_tabs.enter_context(book.reading(ADA, f"a{n}"))
        with pytest.raises(TooManyRequests):
            book.use(ADA, "a6")
        for n in range(3):
            open_tabs.enter_context(book.reading(BOB, f"b{n}"))
        book.use(Visitor("carol", "carol 1"), "c")
    assert tables.forgotten == []


def test_streams_and_calls_are_given_back_whatever_happens() -> None:
    book, tables, _ = ledger(streams=1, calls=1)
    for _ in range(3):
        with contextlib.suppress(RuntimeError), book.reading(ADA, "s"), book.calling(ADA) as ticket:
            with pytest.raises(TooManyRequests), book.reading(ADA, "s"):
                pass
            with pytest.raises(TooManyRequests), book.calling(ADA):
                pass
            with book.reading(BOB, "b"), book.calling(BOB):
                pass
            book.call(ticket, "s", 1)
            raise RuntimeError
    join(book, tables, ADA, "s", "e")
    with pytest.raises(TooManyRequests), book.calling(ADA):
        pass
    tables.running.clear()
    join(book, tables, ADA, "s", "f")


def test_bytes_of_what_waits_are_bounded() -> None:
    book, tables, _ = ledger(call_bytes=100)
    join(book, tables, ADA, "s", "e", 60)
    with pytest.raises(TooManyRequests, match="MiB"):
        join(book, tables, ADA, "s", "f", 60)
    join(book, tables, BOB, "t", "g", 60)


def test_a_session_nobody_reads_takes_no_more_calls() -> None:
    book, tables, _ = ledger()
    tables.unread_messages = 10_000
    with pytest.raises(TooManyRequests, match="does not read"):
        join(book, tables, ADA, "s", "e")
    with book.reading(ADA, "s"):
        join(book, tables, ADA, "s", "e")


def leave(book: Ledger, tables: FakeTables, visitor: Visitor, session: str, event: str) -> None:
    """A call that ends at once and whose answer nobody reads."""
    join(book, tables, visitor, session, event)
    tables.running.remove(event)
    tables.unread_ends.add((event, session))


@pytest.mark.parametrize("presence", ["gone", "heartbeat"])
def test_answers_that_nobody_reads_keep_nobody_from_asking_for_long(presence: str) -> None:
    book, tables, clock = ledger(sessions=4, calls=3, call_bytes=3)
    with contextlib.ExitStack() as open_tabs:
        for n in range(3):
            if presence == "heartbeat":
                open_tabs.enter_context(book.connected(ADA, f"s{n}"))
            leave(book, tables, ADA, f"s{n}", f"e{n}")
        clock.now = 119.0
        with pytest.raises(TooManyRequests), book.calling(ADA):
            pass
        clock.now = 121.0
        join(book, tables, ADA, "new", "f", 3)
    assert tables.unread_ends == set()
    assert tables.forgotten == []


def test_sessions_whose_answers_nobody_reads_make_room() -> None:
    book, tables, clock = ledger(sessions=3)
    for n in range(3):
        leave(book, tables, ADA, f"s{n}", f"e{n}")
    with pytest.raises(TooManyRequests, match="3 tabs"):
        book.use(ADA, "new")
    clock.now = 121.0
    book.use(ADA, "new")
    assert tables.forgotten == ["s0"]


def test_an_answer_waits_for_its_reader_from_its_end_on_and_while_he_is_there() -> None:
    book, tables, clock = ledger(calls=1)
    join(book, tables, ADA, "s", "e")
    clock.now = 300.0
    assert book.settle()
    tables.running.clear()
    tables.unread_ends.add(("e", "s"))
    clock.now = 400.0
    with book.reading(ADA, "", "e"):
        clock.now = 900.0
        with pytest.raises(TooManyRequests), book.calling(ADA):
            pass
    clock.now = 1000.0
    assert book.may_end(ADA, "e")
    clock.now = 1021.0
    assert not book.settle()
    join(book, tables, ADA, "s", "f")


def test_what_runs_counts_however_long_nobody_reads() -> None:
    book, tables, clock = ledger(calls=2)
    leave(book, tables, ADA, "s", "over")
    join(book, tables, ADA, "s", "runs")
    clock.now = 5000.0
    with pytest.raises(TooManyRequests), book.calling(ADA):
        pass
    assert tables.unread_ends == {("over", "s")}


def test_a_call_without_a_session_gets_its_events() -> None:
    book, tables, _ = ledger(sessions=1)
    join(book, tables, ADA, "", "e")
    with pytest.raises(PermissionDenied):
        book.use(BOB, "e")
    with pytest.raises(TooManyRequests):
        join(book, tables, ADA, "", "f")
    tables.running.clear()
    join(book, tables, ADA, "", "g")
    assert tables.forgotten == ["e"]


@pytest.mark.slow
@given(st.lists(st.tuples(st.integers(0, 40), st.booleans()), max_size=120))
def test_nothing_a_guest_does_touches_adas(steps: list[tuple[int, bool]]) -> None:
    book, tables, clock = ledger(sessions=3, sessions_in_all=8, calls=4)
    join(book, tables, ADA, "adas", "adas-event")
    with book.reading(ADA, "adas"):
        for number, joins in steps:
            clock.now += number * 100
            with contextlib.suppress(AppError):
                if joins:
                    join(book, tables, BOB, f"s{number}", f"e{number}")
                else:
                    book.use(BOB, ("adas", f"s{number}")[number % 2])
            assert "adas" not in tables.forgotten
        book.use(ADA, "adas")
        assert book.may_end(ADA, "adas-event")
        with book.calling(ADA) as ticket:
            book.call(ticket, "adas", 10)
