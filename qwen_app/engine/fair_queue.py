"""Fair queue: whose turn it is among users, how much of a queue one may fill, and a queue for engines without one."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from heapq import heapify, heappop, heapreplace
from itertools import count
from typing import Protocol, TypeVar

from qwen_app.errors import TooManyRequests
from qwen_app.fair_share import is_guest

LOOK_S = 0.5  # how often a waiting request looks whether its position has changed


class HasUser(Protocol):
    @property
    def user(self) -> str: ...


R = TypeVar("R", bound=HasUser)


class FairOrder:
    """The user with the fewest running goes first, then whoever was served least recently.

    A user who comes new counts as served just before the last who was: he goes ahead of that one and of nobody who
    has waited longer. Within one user requests keep their order.
    """

    def __init__(self) -> None:
        self._served: dict[str, int] = {}  # when a user's last request started, counted in turns
        self._turn = 0

    def arrive(self, user: str) -> None:
        """A request of ``user`` waits."""
        self._served.setdefault(user, self._turn - 1)

    def serve(self, user: str) -> None:
        """A request of ``user`` starts."""
        self._turn += 1
        self._served[user] = self._turn

    def keep_only(self, users: Collection[str]) -> None:
        """Forget all other users: they have nothing running or waiting."""
        self._served = {user: turn for user, turn in self._served.items() if user in users}

    def order(self, waiting: Sequence[R], running: Iterable[HasUser]) -> Iterator[R]:
        """``waiting`` as they would start, were no running one to end."""
        share = Counter(request.user for request in running)
        by_user: dict[str, deque[R]] = {}
        for request in waiting:
            by_user.setdefault(request.user, deque()).append(request)
        turns = [(share[user], self._served[user], number, user) for number, user in enumerate(by_user)]
        heapify(turns)
        for turn in count(self._turn + 1):
            if not turns:
                return
            running_now, _, number, user = turns[0]
            yield by_user[user].popleft()
            if by_user[user]:
                heapreplace(turns, (running_now + 1, turn, number, user))
            else:
                heappop(turns)


def may_wait(user: str, waiting: Sequence[HasUser], running: Collection[HasUser], *, free: int, limit: int) -> bool:
    """Whether one more request of ``user`` may wait, where ``limit`` may beyond those that the ``free`` places take.

    Alone a user may fill the queue. Beside others he has half of it, one place at least. One who has nothing here yet
    finds a place even in a full queue, up to half as many again, so that nobody's flood keeps another out. Guests
    together fill the queue, and leave that half to others.
    """
    mine = sum(request.user == user for request in waiting)
    present = mine + sum(request.user == user for request in running)
    if not present:
        many_guests = is_guest(user) and sum(is_guest(request.user) for request in waiting) >= free + limit
        return len(waiting) < free + limit + limit // 2 and not many_guests
    alone = present == len(waiting) + len(running)
    return len(waiting) < free + limit and (alone or mine < free + max(1, limit // 2))


def holder_of_all(running: Collection[HasUser], waiting: Iterable[HasUser], places: int) -> str | None:
    """The user who runs on all ``places``, two or more, while another waits: he has to give one of them up."""
    users = {request.user for request in running}
    if len(users) != 1 or len(running) < max(2, places):
        return None
    (user,) = users
    return user if any(request.user != user for request in waiting) else None


@dataclass(eq=False, slots=True)
class QueuePlace:
    """One request's place."""

    user: str
    may_run: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def admitted(self) -> bool:
        return self.may_run.is_set()


class FairQueue:
    """Lets ``running_limit`` requests run and ``queue_limit`` wait. For one event loop; not thread-safe.

    Where one user runs on all places and another waits, that one runs beside them: what runs elsewhere cannot be
    paused. The first user then gets no new place before he has one less than all.
    """

    def __init__(self, running_limit: int, queue_limit: int) -> None:
        self._running_limit = running_limit
        self._queue_limit = queue_limit
        self._running: list[QueuePlace] = []
        self._waiting: list[QueuePlace] = []
        self._fair = FairOrder()
        self._positions: dict[QueuePlace, int] = {}  # of those who wait; empty when it has to be found out anew

    @property
    def running(self) -> int:
        return len(self._running)

    @property
    def queued(self) -> int:
        return len(self._waiting)

    def join(self, user: str) -> QueuePlace:
        """A place for ``user``, at once. Raises TooManyRequests where the queue is full. ``leave`` gives it back."""
        place = QueuePlace(user)
        free = max(0, self._running_limit - self.running)
        if not may_wait(user, self._waiting, self._running, free=free, limit=self._queue_limit):
            raise TooManyRequests("Too many requests are waiting. Try again in a few seconds.")
        self._fair.arrive(user)
        self._waiting.append(place)
        self._admit()
        return place

    def position(self, place: QueuePlace) -> int:
        """Requests that start before this one, itself included; 0 where it may run."""
        if place.admitted:
            return 0
        if not self._positions:  # once after each change, for all: every one who waits asks
            self._positions = {waiting: number for number, waiting in enumerate(self._order(), 1)}
        return self._positions[place]

    async def next_position(self, place: QueuePlace, last: int) -> int:
        """Waits until the position of ``place`` is another than ``last`` and returns it: at once where it may run.

        Other moves are told every LOOK_S: each request that comes or goes moves all that wait, and to wake them all for
        it would cost more than their answers.
        """
        while (position := self.position(place)) == last:
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await place.may_run.wait()
        return position

    def leave(self, place: QueuePlace) -> None:
        """Gives the place back, running or waiting. Safe to call twice."""
        for places in (self._running, self._waiting):
            if place in places:
                places.remove(place)
        self._fair.keep_only({other.user for other in (*self._running, *self._waiting)})
        self._admit()

    def _admit(self) -> None:
        self._positions = {}
        while self._waiting and (self.running < self._running_limit or self._held_by_one()):
            place = next(self._order())
            self._waiting.remove(place)
            self._running.append(place)
            self._fair.serve(place.user)
            place.may_run.set()

    def _held_by_one(self) -> bool:
        return holder_of_all(self._running, self._waiting, self._running_limit) is not None

    def _order(self) -> Iterator[QueuePlace]:
        return self._fair.order(self._waiting, self._running)
