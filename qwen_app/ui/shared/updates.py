"""Views as Gradio wants them: ``{component: update}``, one by one while an answer comes."""

from __future__ import annotations

import functools
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from typing import ParamSpec, TypeVar

import gradio as gr
from gradio.blocks import Block

Update = object  # a component's new value, or ``gr.update(...)`` with its new properties
Updates = dict[Block, Update]

P = ParamSpec("P")
V = TypeVar("V")


def changed(updates: Mapping[Block, Update | None]) -> Updates:
    """Updates in which None means that the component stays as it is."""
    return {component: gr.skip() if update is None else update for component, update in updates.items()}


def streaming(
    handler: Callable[P, AsyncGenerator[V, None]], updates: Callable[[V], Updates]
) -> Callable[P, AsyncGenerator[Updates, None]]:
    """``handler`` as Gradio wants it: an async generator function of updates, closed with all it started."""

    @functools.wraps(handler)
    async def stream(*args: P.args, **kwargs: P.kwargs) -> AsyncGenerator[Updates, None]:
        async with aclosing(handler(*args, **kwargs)) as views:
            async for view in views:
                yield updates(view)

    return stream
