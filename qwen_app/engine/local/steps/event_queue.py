"""Event queue: events on their way from the worker's thread to the event loop of the request they belong to."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from contextlib import suppress

from qwen_app.errors import AppError
from qwen_app.messages import Delta, Event, Failed, Finished


class EventQueue:
    """The events of one request. Made and read on one event loop, fed from any thread."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self._events: asyncio.Queue[Event] = asyncio.Queue()
        self._said: list[str] = []
        self._failed = False

    def put(self, event: Event) -> None:
        """On the loop's own thread only."""
        if isinstance(event, Delta):
            self._said.append(event.text)
        self._events.put_nowait(event)

    def fail(self, error: AppError) -> None:
        """On the loop's own thread only: end the events, where the one who feeds them may never do so."""
        if not self._failed:
            self._failed = True
            self.put(Failed(error, "".join(self._said)))

    def fail_from_thread(self, error: AppError) -> None:
        """``fail``, from any thread."""
        with suppress(RuntimeError):  # the loop was closed: nobody listens any more
            self.loop.call_soon_threadsafe(self.fail, error)

    async def get(self) -> Event:
        return await self._events.get()


class Outbox:
    """Collects a step's events and hands them over with one wake-up per event loop."""

    def __init__(self) -> None:
        self._events: defaultdict[asyncio.AbstractEventLoop, list[tuple[EventQueue, Event]]] = defaultdict(list)

    def add(self, queue: EventQueue, event: Event) -> None:
        self._events[queue.loop].append((queue, event))

    def send(self) -> None:
        while self._events:
            loop, events = self._events.popitem()
            with suppress(RuntimeError):  # the loop was closed: nobody listens any more
                loop.call_soon_threadsafe(_deliver, events)


def _deliver(events: list[tuple[EventQueue, Event]]) -> None:
    for queue, event in events:
        queue.put(event)


def is_terminal(event: Event) -> bool:
    return isinstance(event, Finished | Failed)
