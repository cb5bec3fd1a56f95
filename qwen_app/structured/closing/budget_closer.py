"""Keeps an answer within its token budget: when the limit nears, it turns to the shortest legal completion."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol, Self

from qwen_app.errors import SchemaError
from qwen_app.structured.json_text import QUOTE, StringTracker

# A run of tokens is a loop when it is the same few tokens at least LOOP_TIMES over and LOOP_TOKENS long.
LOOP_TOKENS = 48
LOOP_TIMES = 4
LOOP_PERIOD = 32
LOOK_EVERY = 16


class ClosableGrammar(Protocol):
    """What the closer asks of a compiled grammar."""

    max_forced_tokens: int

    @property
    def end_token(self) -> int: ...

    def ends(self, token_id: int) -> bool: ...

    def text_of(self, token_ids: Sequence[int]) -> bytes: ...

    def byte_token(self, byte: int) -> int: ...


class ClosableState(Protocol):
    """What the closer asks of an answer that is being held to a grammar."""

    token_ids: list[int]

    @property
    def grammar(self) -> ClosableGrammar: ...

    def accept(self, token_id: int) -> None: ...

    def copy(self) -> Self: ...

    def text(self) -> bytes: ...

    def strings(self) -> StringTracker | None: ...

    def may_end_after(self, token_ids: Sequence[int]) -> bool: ...

    def completion_bytes(self) -> bytes | None: ...

    def completion_tokens(self, guess: bytes | None = None) -> list[int]: ...


Closes = Callable[[ClosableState], bool]


class BudgetCloser:
    """Decides, for one constrained answer, whether a sampled token may stand.

    The promise is that at every step a completion is known that still fits the budget. So a token is looked at before
    it is accepted: when what it forces would no longer fit, the completion found for the state before it is written
    instead. Far from the limit nothing is done; for how long follows from how much a token can force. Where ``closes``
    says no, the limit cuts the answer where it stands, and only loops are ended.
    """

    def __init__(self, closes: Closes = lambda state: True) -> None:
        self.closes = closes  # whether the answer is completed where a limit comes first
        self._to_write: deque[int] = deque()
        self._unchecked = 0
        self._completion: list[int] | None = None  # of the state last looked at; it may still hold
        self.closing = False

    def choose(
        self,
        state: ClosableState,
        sampled: int,
        remaining_tokens: int,
        *,
        close_now: bool = False,
        may_stop: bool = False,
    ) -> int:
        """The token to accept where the model wants ``sampled``, a token its mask allows.

        ``remaining_tokens`` may still be written, this one included. ``close_now`` turns to the completion at once (a
        deadline nears). ``may_stop`` says that nothing is lost by an end right here, though the grammar may want more:
        what the model has not begun is not completed in its name. Once ``closing`` is True, the answer ends when the
        state is done or an end token is returned, and its reason stays ``length`` or ``deadline``.
        """
        if self.closing:
            return self._next_to_write(state)
        closes = self.closes(state)
        if close_now and closes and not may_stop:
            return self._close(state)
        if (way_out := _out_of_loop(state, is_document=closes and not may_stop)) is not None:
            sampled = way_out
        if state.grammar.ends(sampled) or not closes:
            return sampled
        if self._unchecked:
            self._unchecked -= 1
            return sampled
        spare = self._spare(state, sampled, remaining_tokens - 1)
        if spare < 0:
            return self._close(state, may_stop=may_stop)
        self._unchecked = spare // state.grammar.max_forced_tokens
        return sampled

    def _close(self, state: ClosableState, *, may_stop: bool = False) -> int:
        self.closing = True
        self._to_write.extend(() if may_stop else self._ending(state))
        return self._next_to_write(state)

    def _ending(self, state: ClosableState) -> list[int]:
        """The known completion as it was counted: its text may be more tokens when it is encoded anew."""
        known = self._completion
        if known and not state.may_end_after([]) and state.may_end_after(known):
            return known
        return state.completion_tokens()

    def _next_to_write(self, state: ClosableState) -> int:
        return self._to_write.popleft() if self._to_write else state.grammar.end_token

    def _spare(self, state: ClosableState, sampled: int, room_tokens: int) -> int:
        """Tokens left over when the answer is closed right after ``sampled``; negative when it could not be."""
        completion = self._known_after(state, sampled)
        if completion is None or len(completion) > room_tokens:
            completion = self._found_after(state, sampled, room_tokens)
        if completion is None or len(completion) > room_tokens:
            return -1
        self._completion = completion
        return room_tokens - len(completion)

    def _known_after(self, state: ClosableState, sampled: int) -> list[int] | None:
        """What would have ended the answer so far where it still does, as inside most strings: asked in no time."""
        if self._completion is None:
            return None
        rest = self._completion[1:] if self._completion[:1] == [sampled] else self._completion
        return rest if state.may_end_after([sampled, *rest]) else None

    def _found_after(self, state: ClosableState, sampled: int, room_tokens: int) -> list[int] | None:
        after, grammar = state.copy(), state.grammar
        after.accept(sampled)
        known = None if self._completion is None else grammar.text_of(self._completion)
        guess = known and known.removeprefix(grammar.text_of([sampled]))
        completion = _completion_of(after, guess)
        fits = completion is not None and len(completion) <= room_tokens
        return completion if fits else _completion_of(after, None)


def _completion_of(state: ClosableState, guess: bytes | None) -> list[int] | None:
    try:
        return state.completion_tokens(guess)
    except SchemaError:
        return None


def _out_of_loop(state: ClosableState, *, is_document: bool) -> int | None:
    """The token that ends a string or number in which the model repeats itself without end."""
    count = len(state.token_ids)
    if count < LOOP_TOKENS or count % LOOK_EVERY or not _loops(state.token_ids):
        return None
    strings = state.strings()
    if strings is None or strings.escaped:
        return None
    in_number = not strings.inside and state.text()[-LOOP_TOKENS:].isdigit()
    completion = state.completion_bytes() if strings.inside or in_number else None
    if completion == b"" and is_document:  # it is whole, as a number at the top is at every digit
        return state.grammar.end_token
    if not completion or completion[0] not in (QUOTE, *b"}],"):
        return None
    return state.grammar.byte_token(completion[0])


def _loops(token_ids: list[int]) -> bool:
    tail = token_ids[-LOOP_PERIOD * LOOP_TIMES :]
    for period in range(1, LOOP_PERIOD + 1):
        length = max(LOOP_TOKENS, period * LOOP_TIMES)
        if length <= len(tail) and tail[-length:-period] == tail[-length + period :]:
            return True
    return False
