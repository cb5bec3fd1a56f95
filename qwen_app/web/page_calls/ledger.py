"""The ledger: which session and event is whose, and how much of each one user has. Gradio itself knows no users.

Gradio keeps sessions and messages in tables of fixed size that all visitors share, and drops the oldest. Here nobody's
use reaches another's: a user over a bound loses the oldest idle session of his own, or is refused.
"""

from __future__ import annotations

import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from qwen_app.errors import NotFound, PermissionDenied, TooManyRequests
from qwen_app.fair_share import Held, has_room
from qwen_app.web.page_calls.call import Visitor
from qwen_app.web.page_calls.gradio_tables import Tables

Clock = Callable[[], float]

_FOREIGN = "This belongs to another visitor. Reload the page to get a session of your own."
_DROPPED = "This tab was idle too long, or too many were open: its chat is no longer kept. Reload the page."
_SESSIONS = "You have {number} tabs of this page open, all in use. Close some of them first."
_FULL = "The server keeps as many sessions as it can. Try again in a few minutes."
_STREAMS = "You have {number} connections to this page open. Close some tabs first."
_CALLS = "You have {number} requests waiting or running here. Try again when one of them is answered."
_BYTES = "Your waiting requests hold {number} MiB together. Try again when one of them is answered."
_UNREAD = "This tab does not read its answers. Reload the page."


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one user may have, and all together. Bytes are those of the bodies of calls that wait or run."""

    sessions: int = 64
    sessions_in_all: int = 1024
    streams: int = 128
    calls: int = 64
    call_bytes: int = 16 * 2**20
    unread: int = 512  # messages of one session, while nobody reads them
    unread_s: float = 120.0  # how long answers are kept that nobody reads
    idle_s: float = 3600.0  # how long a session is kept that nobody is connected to
    dropped_kept: int = 4096  # names of sessions remembered as dropped


@dataclass(slots=True)
class _Session:
    visitor: Visitor
    used_at: float
    attended_at: float  # when something of it last ran or was read, as far as anybody looked
    streams: int = 0
    readers: int = 0  # of these, what reads answers
    calls: int = 0


@dataclass(slots=True)
class _Event:
    visitor: Visitor
    session: str
    size: int


@dataclass(slots=True)
class CallTicket:
    """A call being made: a place of its user's, until the call has been answered."""

    visitor: Visitor
    session: str = ""
    size: int = 0


@dataclass(slots=True)
class Ledger:
    """For one event loop. All methods that take a visitor raise AppError where he may not."""

    tables: Tables | None = None  # Gradio's, once the page is mounted
    bounds: Bounds = field(default_factory=Bounds)
    clock: Clock = time.monotonic
    _sessions: OrderedDict[str, _Session] = field(default_factory=OrderedDict)  # last used last
    _events: dict[str, _Event] = field(default_factory=dict)
    _tickets: list[CallTicket] = field(default_factory=list)
    _streams: Counter[str] = field(default_factory=Counter)
    _dropped: OrderedDict[str, str] = field(default_factory=OrderedDict)

    def use(self, visitor: Visitor, session: str) -> None:
        """``session`` is his from now on, if it is nobody else's."""
        known = self._sessions.get(session)
        if known is None:
            if self._dropped.get(session) == visitor.owner:
                raise PermissionDenied(_DROPPED)
            self._make_room(visitor)
            known = self._sessions[session] = _Session(visitor, self.clock(), self.clock())
        if known.visitor.owner != visitor.owner:
            raise PermissionDenied(_FOREIGN)
        known.used_at = self.clock()
        self._sessions.move_to_end(session)

    def may_end(self, visitor: Visitor, event: str) -> bool:
        """Whether ``event`` is there and his. Raises PermissionDenied where it is another's."""
        self.settle()
        known = self._events.get(event)
        if known is not None and known.visitor.owner != visitor.owner:
            raise PermissionDenied(_FOREIGN)
        return known is not None

    @contextmanager
    def connected(self, visitor: Visitor, session: str) -> Iterator[None]:
        """A stream of ``session`` is open within the block."""
        if self._streams[visitor.user] >= self.bounds.streams:
            raise TooManyRequests(_STREAMS.format(number=self.bounds.streams))
        self.use(visitor, session)
        known = self._sessions[session]
        known.streams += 1
        self._streams[visitor.user] += 1
        try:
            yield
        finally:
            known.streams -= 1
            known.used_at = self.clock()
            self._streams[visitor.user] -= 1
            if not self._streams[visitor.user]:
                del self._streams[visitor.user]

    @contextmanager
    def reading(self, visitor: Visitor, session: str, event: str = "") -> Iterator[None]:
        """The answers of ``session``, or of ``event``'s, are read within the block."""
        if event:
            if not self.may_end(visitor, event):
                raise NotFound("There is no such call, or its answer was read already.")
            session = self._events[event].session
        with self.connected(visitor, session):
            known = self._sessions[session]
            known.readers += 1
            try:
                yield
            finally:
                known.readers -= 1
                known.attended_at = self.clock()

    @contextmanager
    def calling(self, visitor: Visitor) -> Iterator[CallTicket]:
        """A call is being made within the block: it has one of its user's places."""
        self.settle()
        waiting = sum(event.visitor.user == visitor.user for event in self._events.values())
        making = sum(ticket.visitor.user == visitor.user for ticket in self._tickets)
        if waiting + making >= self.bounds.calls:
            raise TooManyRequests(_CALLS.format(number=self.bounds.calls))
        ticket = CallTicket(visitor)
        self._tickets.append(ticket)
        try:
            yield ticket
        finally:
            self._tickets = [other for other in self._tickets if other is not ticket]
            if ticket.session in self._sessions:
                self._sessions[ticket.session].calls -= 1

    def call(self, ticket: CallTicket, session: str, size: int) -> None:
        """The call of ``ticket`` is of ``session``, which may be new or none, and has ``size`` bytes."""
        held = self._held(ticket.visitor.user)
        if held + size > self.bounds.call_bytes:
            raise TooManyRequests(_BYTES.format(number=self.bounds.call_bytes // 2**20))
        ticket.size = size
        if not session:
            self._make_room(ticket.visitor)  # Gradio gives it one of its own
            return
        self.use(ticket.visitor, session)
        known = self._sessions[session]
        if self.tables and not known.readers and self.tables.unread(session) >= self.bounds.unread:
            raise TooManyRequests(_UNREAD)
        known.calls += 1
        ticket.session = session

    def joined(self, ticket: CallTicket, event: str) -> None:
        """The call of ``ticket`` waits in Gradio's queue as ``event``."""
        session = ticket.session
        if not session:
            session = event  # what Gradio calls it then
            self._sessions[session] = _Session(ticket.visitor, self.clock(), self.clock())
        self._sessions[session].attended_at = self.clock()
        self._events[event] = _Event(ticket.visitor, session, ticket.size)

    def settle(self) -> bool:
        """Forget events that are over: ended, and their end was read or nobody did for too long. Whether any is left.

        To be called now and then: of what ended in between it is known only that it ran when somebody last looked.
        """
        if self.tables is None:
            return False
        now = self.clock()
        for name, event in list(self._events.items()):
            session = self._sessions[event.session]
            if self.tables.runs(name) or session.readers:
                session.attended_at = now
            if not (self.tables.runs(name) or self.tables.undelivered(name, event.session)):
                del self._events[name]
        waiting = {event.session for event in self._events.values()}
        unread = {name for name in waiting if now - self._sessions[name].attended_at > self.bounds.unread_s}
        for name in unread:
            self.tables.forget_answers(name)
        self._events = {name: event for name, event in self._events.items() if event.session not in unread}
        return bool(self._events)

    def _held(self, user: str) -> int:
        waiting = sum(event.size for event in self._events.values() if event.visitor.user == user)
        return waiting + sum(ticket.size for ticket in self._tickets if ticket.visitor.user == user)

    def _make_room(self, visitor: Visitor) -> None:
        """For one more session of ``visitor``. Only his own make room for it."""
        self.settle()
        busy = {event.session for event in self._events.values()}
        idle = [name for name, one in self._sessions.items() if not (one.streams or one.calls or name in busy)]
        for name in idle:
            if self.clock() - self._sessions[name].used_at > self.bounds.idle_s:
                self._drop(name)
        mine = [name for name in idle if name in self._sessions and self._sessions[name].visitor.user == visitor.user]
        number = sum(one.visitor.user == visitor.user for one in self._sessions.values())
        held = Held(number, number, len(self._sessions))  # guests count alone: their page has a ledger of its own
        full = not has_room(1, held, self.bounds.sessions_in_all)
        if number < self.bounds.sessions and not full:
            return
        if not mine:
            raise TooManyRequests(_FULL if full else _SESSIONS.format(number=number))
        self._drop(mine[0])

    def _drop(self, session: str) -> None:
        self._dropped[session] = self._sessions.pop(session).visitor.owner
        while len(self._dropped) > self.bounds.dropped_kept:
            self._dropped.popitem(last=False)
        if self.tables:
            self.tables.forget(session)
