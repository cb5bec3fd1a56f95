"""Continuous batching: who gets the next free slot, from a bounded queue that is fair between users.

Knows no torch, and no clock but the one its callers read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from qwen_app.engine.fair_queue import FairOrder, holder_of_all, may_wait
from qwen_app.errors import TooManyRequests


@dataclass(frozen=True, slots=True)
class Ticket:
    """A request as the scheduler sees it. ``deadline`` is on the caller's clock, in seconds."""

    id: str
    user: str
    deadline: float


class Scheduler:
    """Tickets wait; a free slot goes to the one FairOrder names.

    ``queue_limit`` tickets may wait beyond those that can start at once; how many of one user, ``may_wait`` says.
    """

    def __init__(self, *, slots: int, queue_limit: int) -> None:
        self._slots = slots
        self._usable = slots  # fewer after a preemption, until a running ticket ends
        self._queue_limit = queue_limit
        self._waiting: list[Ticket] = []
        self._running: dict[str, Ticket] = {}
        self._fair = FairOrder()

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    @property
    def running(self) -> int:
        return len(self._running)

    def submit(self, ticket: Ticket) -> int:
        """Queue a ticket and return how many go before it. Raises TooManyRequests when the queue is full."""
        starting = max(0, self._usable - self.running)
        running = self._running.values()
        if not may_wait(ticket.user, self._waiting, running, free=starting, limit=self._queue_limit):
            raise TooManyRequests(
                f"{self.running} answers are being written and {self.waiting} requests wait, which is all this server "
                "takes. Try again in a few seconds."
            )
        self._fair.arrive(ticket.user)
        self._waiting.append(ticket)
        return self.positions()[ticket.id]

    def admit(self) -> Iterator[Ticket]:
        """Start tickets while slots are free."""
        while self._waiting and self.running < self._usable:
            ticket = next(self._order())
            self._waiting.remove(ticket)
            self._running[ticket.id] = ticket
            self._fair.serve(ticket.user)
            yield ticket

    def requeue(self, ticket_id: str) -> None:
        """Put a running ticket back in front of its user's: it was preempted. No slot is filled until one is freed."""
        self._waiting.insert(0, self._running.pop(ticket_id))
        self._usable = max(1, self.running)

    def give_way(self) -> str | None:
        """Take a slot from a user who has them all while another waits: the newest of his goes back to the queue.

        Returns its id. Call ``admit`` next, which starts the other.
        """
        user = holder_of_all(self._running.values(), self._waiting, self._usable)
        if user is None:
            return None
        newest = next(reversed(self._running))
        self._waiting.insert(0, self._running.pop(newest))
        return newest

    def finish(self, ticket_id: str) -> None:
        """Forget a ticket, running or waiting. Nothing happens when it is gone already."""
        if self._running.pop(ticket_id, None) is not None:
            self._usable = self._slots
        self._waiting = [ticket for ticket in self._waiting if ticket.id != ticket_id]
        self._fair.keep_only({ticket.user for ticket in self._all()})

    def expired(self, now: float) -> list[str]:
        """Ids of all tickets, running or waiting, whose deadline has passed."""
        return [ticket.id for ticket in self._all() if now >= ticket.deadline]

    def positions(self) -> dict[str, int]:
        """How many tickets have to start before each waiting one; 0 for those that fit in at once."""
        free = self._usable - self.running
        return {ticket.id: max(0, place - free + 1) for place, ticket in enumerate(self._order())}

    def _all(self) -> Iterable[Ticket]:
        return (*self._running.values(), *self._waiting)

    def _order(self) -> Iterator[Ticket]:
        return self._fair.order(self._waiting, self._running.values())
