"""Who may run now, for engines that have no scheduler of their own: a bounded queue, fair between users."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from dataclasses import dataclass, field

from qwen_app.errors import TooManyRequests


@dataclass(eq=False, slots=True)
class Ticket:
    """One request's place. ``moved`` is set whenever the place may have changed."""

    user: str
    admitted: bool = False
    moved: asyncio.Event = field(default_factory=asyncio.Event)


class Gate:
    """Lets ``running_limit`` requests run and ``queue_limit`` wait. For one event loop; not thread-safe."""

    def __init__(self, running_limit: int, queue_limit: int) -> None:
        self._running_limit = running_limit
        self._queue_limit = queue_limit
        self._running: list[Ticket] = []
        self._waiting: list[Ticket] = []
        self._turns = itertools.count(1)
        self._last_turn: dict[str, int] = {}  # of users who are here

    @property
    def running(self) -> int:
        return len(self._running)

    @property
    def queued(self) -> int:
        return len(self._waiting)

    def join(self, user: str) -> Ticket:
        """A place for ``user``, at once. Raises TooManyRequests where the queue is full. ``leave`` gives it back."""
        ticket = Ticket(user)
        if self.running >= self._running_limit and self.queued >= self._queue_limit:
            raise TooManyRequests("Too many requests are waiting. Try again in a few seconds.")
        self._waiting.append(ticket)
        self._admit()
        return ticket

    def position(self, ticket: Ticket) -> int:
        """Requests that start before this one, itself included; 0 where it may run."""
        return 0 if ticket.admitted else self._order().index(ticket) + 1

    async def next_position(self, ticket: Ticket, last: int) -> int:
        """Waits until the place of ``ticket`` is another than ``last`` and returns it."""
        while (position := self.position(ticket)) == last:
            ticket.moved.clear()
            await ticket.moved.wait()
        return position

    def leave(self, ticket: Ticket) -> None:
        """Gives the place back, running or waiting. Safe to call twice."""
        for places in (self._running, self._waiting):
            if ticket in places:
                places.remove(ticket)
        here = {other.user for other in (*self._running, *self._waiting)}
        self._last_turn = {user: turn for user, turn in self._last_turn.items() if user in here}
        self._admit()

    def _admit(self) -> None:
        while self._waiting and self.running < self._running_limit:
            ticket = self._order()[0]
            self._waiting.remove(ticket)
            self._running.append(ticket)
            ticket.admitted = True
            self._last_turn[ticket.user] = next(self._turns)
            ticket.moved.set()
        for waiting in self._waiting:
            waiting.moved.set()

    def _order(self) -> list[Ticket]:
        """The waiting, in the order they will start: who has least comes first, then whose last turn is longest ago."""
        share = Counter(ticket.user for ticket in self._running)
        ranked: list[tuple[int, int, int, Ticket]] = []
        for arrival, ticket in enumerate(self._waiting):
            ranked.append((share[ticket.user], self._last_turn.get(ticket.user, 0), arrival, ticket))
            share[ticket.user] += 1
        return [ticket for *_, ticket in sorted(ranked, key=lambda place: place[:3])]
