"""What is answered in the model's place when it fails: a text that the owner wrote, or nothing."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from qwen_app.errors import EngineError
from qwen_app.messages import Delta, Event, Failed, Finished, GenerationRequest, Queued, Timings, ToolCallDelta, Usage

NO_TIME = Timings(0.0, 0.0, 0.0)
Observe = Callable[[Event], None]


async def with_fallback(
    events: AsyncGenerator[Event, None], request: GenerationRequest, text: str, observe: Observe
) -> AsyncGenerator[Event, None]:
    """``events``, with ``text`` in place of a failure of ours that came before the first word.

    ``observe`` sees what really happened. An answer that must be of some form (a grammar, a call) and one of which
    part was already read fail as ever. No token is counted for ``text``, by which a program can tell it.
    """
    admitted = begun = False
    async with aclosing(events):
        async for event in events:
            observe(event)
            if text and _can_stand_in(request) and _is_ours(event) and not begun:
                if not admitted:
                    yield Queued(0)
                yield Delta(text)
                yield Finished("stop", Usage(0, 0), NO_TIME)
                return
            admitted = admitted or isinstance(event, Queued)
            begun = begun or isinstance(event, ToolCallDelta) or (isinstance(event, Delta) and bool(event.text))
            yield event


def _is_ours(event: Event) -> bool:
    return isinstance(event, Failed) and isinstance(event.error, EngineError)


def _can_stand_in(request: GenerationRequest) -> bool:
    return request.grammar is None and request.tool_choice.mode in ("auto", "none")
