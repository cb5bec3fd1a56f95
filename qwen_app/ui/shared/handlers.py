"""What Gradio's handlers take and give: ``{component: value}`` in, ``{component: update}`` out, one by one or at once.

Values come from a browser, which may send anything: they are read as what they should be.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import ParamSpec, TypeVar

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


@dataclass(slots=True)
class InOrder:
    """Lets the views of several events reach one browser tab in the order in which they were made.

    Gradio converts a view before it sends it: one that takes long would come after a quick one that was made later. It
    asks for the next view when it has sent one, and until then the others wait; for ``limit_s`` at most, since it asks
    no more once the browser is gone.
    """

    limit_s: float = 2.0
    _sending: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def of(self, views: AsyncGenerator[V, None]) -> AsyncGenerator[V, None]:
        """``views``, each in its turn."""
        async with aclosing(views) as views:
            async for view in views:
                sending = await self._turn()
                try:
                    yield view
                finally:
                    sending.release()

    async def _turn(self) -> asyncio.Lock:
        """Taken, and to be released by the caller."""
        while True:
            sending = self._sending
            try:
                async with asyncio.timeout(self.limit_s):
                    await sending.acquire()
                return sending
            except TimeoutError:
                if sending is self._sending:  # whoever has it will not ask again
                    self._sending = asyncio.Lock()


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
