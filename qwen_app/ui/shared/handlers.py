"""What Gradio's handlers take and give: ``{component: value}`` in, ``{component: update}`` out, one by one or at once.

Values come from a browser, which may send anything: they are read as what they should be.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Generic, ParamSpec, TypeAlias, TypeVar

import gradio as gr
from gradio.blocks import Block

from qwen_app.ui.shared.strings import Language

Values = Mapping[Block, object]  # what components hold when an event comes
Update = object  # a component's new value, or ``gr.update(...)`` with its new properties
Updates = dict[Block, Update]

P = ParamSpec("P")
S = TypeVar("S")
V = TypeVar("V")


def text(value: object) -> str:
    return str(value or "")


def number(value: object, low: float, high: float, default: float) -> float:
    """``value`` within range; ``default`` (within range too) where there is none."""
    number = value if isinstance(value, int | float) else default
    return max(min(low, high), min(high, number))


def entry(value: object, name: str) -> object:
    """What ``value`` has under ``name``; None where it is no object, or has nothing there."""
    return value.get(name) if isinstance(value, dict) else None


def index_of(value: object) -> int:
    """A place in a list, alone or as the first of several numbers; -1 where there is none."""
    first = value[0] if isinstance(value, list | tuple) and value else value
    return first if isinstance(first, int) and first >= 0 else -1


def language_of(value: object) -> Language:
    return "zh" if value == "zh" else "en"


def session_of(value: object, kind: type[S]) -> S:
    """The value of a ``gr.State``, which never leaves the server. Raises TypeError where the wiring is wrong."""
    if not isinstance(value, kind):
        raise TypeError(f"The session is a {type(value).__name__}, not a {kind.__name__}.")
    return value


@dataclass(slots=True)
class Newest:
    """Numbers the looks of one browser tab at one thing. Events end in any order: what the newest found is shown."""

    number: int = 0

    def begin(self) -> int:
        """The number of a look that begins now, and overtakes those before."""
        self.number += 1
        return self.number

    def is_overtaken(self, number: int) -> bool:
        """Whether a newer look has begun since the one of that ``number``."""
        return number != self.number


@dataclass(slots=True, eq=False)
class _Handed(Generic[V]):
    """A view for the event that carries; ``refused`` where its own event is to send it."""

    view: V
    settled: asyncio.Event = field(default_factory=asyncio.Event)
    refused: bool = False

    def settle(self, *, refused: bool = False) -> None:
        self.refused |= refused
        self.settled.set()


_Queue: TypeAlias = "asyncio.Queue[_Handed[V] | None]"  # None: look who is left


@dataclass(slots=True)
class InOrder(Generic[V]):
    """Lets the views of several events reach one browser tab in the order in which they were made.

    Gradio's page draws what one event sends in turn, but several events apart from each other: where the browser is
    busy, an older view of one may be drawn after a newer one of another, and stay. So one event carries the views of
    all, until none is left. Gradio asks it for a view when it has sent the one before, but no more once the browser is
    gone: what is not sent within ``limit_s`` its own event sends.
    """

    limit_s: float = 10.0
    _handing: set[object] = field(default_factory=set)  # events that send nothing themselves, and are not over
    _carrier: _Queue[V] | None = None

    async def of(self, views: AsyncGenerator[V, None], *, carries: bool = True) -> AsyncGenerator[V, None]:
        """``views``, of which another event may send some. One that ``carries`` may send those of others too."""
        event = object()
        self._handing.add(event)
        try:
            async with aclosing(views) as views:
                async for view in views:
                    if await self._handed_over(view):
                        continue
                    self._handing.discard(event)
                    async with aclosing(self._carry(view, views) if carries else self._alone(view)) as sent:
                        async for each in sent:
                            yield each
        finally:
            self._handing.discard(event)
            if self._carrier is not None:
                self._carrier.put_nowait(None)

    async def _handed_over(self, view: V) -> bool:
        """Whether another event has sent the view."""
        while (carrier := self._carrier) is not None:
            handed = _Handed(view)
            carrier.put_nowait(handed)
            try:
                async with asyncio.timeout(self.limit_s):
                    await handed.settled.wait()
            except TimeoutError:
                handed.settle(refused=True)
                if carrier is self._carrier:  # it will not be asked again
                    self._carrier = None
            if not handed.refused:
                return True
        return False

    async def _alone(self, view: V) -> AsyncGenerator[V, None]:
        """The view. The others wait until it is sent, and then send for themselves."""
        queue: _Queue[V] = asyncio.Queue()
        self._carrier = queue
        try:
            yield view
        finally:
            self._leave(queue)

    async def _carry(self, first: V, others: AsyncGenerator[V, None]) -> AsyncGenerator[V, None]:
        """Both of one event, and what is handed over until no other event is left."""
        queue: _Queue[V] = asyncio.Queue()
        begun = _Handed(first)
        queue.put_nowait(begun)
        self._carrier = queue
        own = asyncio.create_task(_hand_in_turn(begun, others, queue))
        own.add_done_callback(lambda _: queue.put_nowait(None))
        handed: _Handed[V] | None = None
        try:
            while not own.done() or not queue.empty() or (queue is self._carrier and self._handing):
                handed = await queue.get()
                if handed is not None and not handed.refused:
                    yield handed.view
                    handed.settle()
                elif own.done():
                    own.result()  # raises what the event raised
        finally:
            self._leave(queue, handed)
            own.cancel()
            await asyncio.wait([own])

    def _leave(self, queue: _Queue[V], sending: _Handed[V] | None = None) -> None:
        """Carry no more: what was handed over and is not sent, its own event sends."""
        if queue is self._carrier:
            self._carrier = None
        left = [sending, *(queue.get_nowait() for _ in range(queue.qsize()))]
        for handed in left:
            if handed is not None and not handed.settled.is_set():
                handed.settle(refused=True)


async def _hand_in_turn(before: _Handed[V], views: AsyncGenerator[V, None], queue: _Queue[V]) -> None:
    """Each when the one before was sent, so that of what changes fast the newest is made."""
    await before.settled.wait()
    async for view in views:
        before = _Handed(view)
        queue.put_nowait(before)
        await before.settled.wait()


def changed(updates: Mapping[Block, Update | None]) -> Updates:
    """Updates in which None means that the component stays as it is."""
    return {component: gr.skip() if update is None else update for component, update in updates.items()}


def merged(updates: Updates, others: Updates) -> Updates:
    """Both, where a component may have properties from either."""
    common = updates.keys() & others.keys()
    return updates | others | {one: _properties(updates[one]) | _properties(others[one]) for one in common}


def _properties(update: Update) -> dict[str, object]:
    return update if isinstance(update, dict) and update.get("__type__") == "update" else gr.update(value=update)


def streaming(
    handler: Callable[P, AsyncGenerator[V, None]], updates: Callable[[V], Updates]
) -> Callable[P, AsyncGenerator[Updates, None]]:
    """``handler`` as Gradio wants it: an async generator function of updates, closed with all it started.

    Gradio sends the last update once more when it has ended, be the page another by then, and empties every output
    where there was none: so the last leaves all as it is.
    """

    @functools.wraps(handler)
    async def stream(*args: P.args, **kwargs: P.kwargs) -> AsyncGenerator[Updates, None]:
        async with aclosing(handler(*args, **kwargs)) as views:
            async for view in views:
                yield updates(view)
        yield gr.skip()

    return stream
