"""A long conversation is put into the engine's terms in a thread: the event loop goes on meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar

SHORT = 256  # entries that take the loop no longer than a thread's start

P = ParamSpec("P")
R = TypeVar("R")


async def converted(length: int, convert: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """What ``convert`` makes of a body with a list of ``length`` entries, or raises."""
    if length <= SHORT:
        return convert(*args, **kwargs)
    return await asyncio.to_thread(convert, *args, **kwargs)
