"""Stop strings in a growing answer: found in its prose, never in the tool calls beside it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from qwen_app.tools.parser import Piece, ToolCallParser, overlap


class StopSearch:
    """Passes text on up to the first of ``stops``, and holds back what may still become one.

    With ``tool_names`` only what ``ToolCallParser`` takes for text is searched, which is what the caller will see as
    text. ``stop`` is the string that was found.
    """

    def __init__(self, stops: Sequence[str], tool_names: Iterable[str] = ()) -> None:
        self._stops = tuple(stops)
        names = tuple(tool_names)
        self._parser = ToolCallParser(names) if names else None
        self._held = ""  # has come in, and not gone on
        self._prose_chars = 0  # of what is held, known to be prose
        self._called = False
        self.stop: str | None = None

    @property
    def tells_calls(self) -> bool:
        return self._parser is not None

    @property
    def in_prose(self) -> bool:
        """No call has begun: what ends the answer here cuts none."""
        return self._parser is None or not self._parser.in_call

    @property
    def called(self) -> bool:
        """There is a call, whole or not."""
        return self._parser is not None and self._parser.called

    @property
    def in_named_call(self) -> bool:
        """A call that has its name is not at its end."""
        return self._parser is not None and self._parser.in_named_call

    def feed(self, text: str, *, search: bool = True) -> str:
        """``text`` has come. What of all that came may go on by now; all of it, where nothing is to be searched for."""
        self._held += text
        self._note_prose([text] if self._parser is None else self._parser.feed(text))
        if not self._stops or not search:
            return self._taken(len(self._held))
        return self._searched(final=False)

    def finish(self) -> str:
        """What was held back, at the end of the answer."""
        self._note_prose([] if self._parser is None else self._parser.finish())
        return self._searched(final=True)

    def _note_prose(self, pieces: Sequence[Piece]) -> None:
        """``pieces`` of what has come are told apart. After a call come calls alone."""
        for piece in pieces:
            self._called = self._called or not isinstance(piece, str)
            if isinstance(piece, str) and not self._called:
                self._prose_chars += len(piece)

    def _searched(self, *, final: bool) -> str:
        if self.stop is not None:
            return ""
        prose = self._held[: self._prose_chars]
        found = [(at, stop) for at, stop in ((prose.find(stop), stop) for stop in self._stops) if at >= 0]
        if found:
            at, self.stop = min(found)
            self._held = ""
            return prose[:at]
        if final or self._called:
            return self._taken(len(self._held))
        return self._taken(len(prose) - max(overlap(prose, stop) for stop in self._stops))

    def _taken(self, count: int) -> str:
        taken, self._held = self._held[:count], self._held[count:]
        self._prose_chars = max(0, self._prose_chars - count)
        return taken
