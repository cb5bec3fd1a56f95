"""Tool call events: the calls in an answer's text, as events of their own."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from qwen_app.messages import Delta, Event, Failed, Finished, TokenLogprob
from qwen_app.tools.parser import Piece, ToolCallParser


class ToolCallEvents:
    """Translates the events of one answer. Token ids and log-probabilities stay, on text or on an empty delta."""

    def __init__(self, parser: ToolCallParser, *, forced: bool) -> None:
        """``forced``: the answer is calls and nothing else, so that what a limit left of one's wrapper is no text."""
        self._parser = parser
        self._forced = forced

    def translate(self, event: Event) -> list[Event]:
        if isinstance(event, Delta):
            return _events(self._parser.feed(event.text), event.token_ids, event.logprobs)
        if isinstance(event, Failed):
            return [*_events(self._parser.finish()), event]
        if isinstance(event, Finished):
            pieces = self._parser.finish(cut=event.reason in ("length", "deadline"))
            if self._parser.called and event.reason == "stop":
                event = dataclasses.replace(event, reason="tool_calls")
            shown = [piece for piece in pieces if not (self._forced and isinstance(piece, str))]
            return [*_events(shown), event]
        return [event]


def _events(
    pieces: Sequence[Piece], token_ids: tuple[int, ...] = (), logprobs: tuple[TokenLogprob, ...] = ()
) -> list[Event]:
    """``pieces`` as events. The ids go with the first text, else ahead of the calls on a delta without text."""
    events: list[Event] = []
    for piece in pieces:
        if isinstance(piece, str):
            events.append(Delta(piece, token_ids, logprobs))
            token_ids, logprobs = (), ()
        else:
            events.append(piece)
    return [Delta("", token_ids, logprobs), *events] if token_ids or logprobs else events
