"""Which turns of a conversation fit the context. Pure: it counts nothing itself and knows no template."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from qwen_app.messages import Message

Turn = tuple[Message, ...]
# A trim makes room for several turns before the next one, during which the prompt's prefix is stable: what is sent is
# cut back to this share of what the system prompt and the pinned turns leave...
TRIM_TO = 0.6
# ... but one long question alone never takes more than this share of what it leaves itself.
HISTORY_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class Window:
    """What is sent and what is left out.

    ``start`` is the first turn that is kept for its age alone: hand it to the next call, so that the window only moves
    when it must. ``tokens`` counts ``kept``; where it exceeds the budget, not even the turns that must stay fit.
    """

    kept: tuple[Message, ...]
    dropped: tuple[Message, ...]
    kept_turns: tuple[int, ...]
    dropped_turns: tuple[int, ...]
    start: int
    tokens: int
    budget_tokens: int

    @property
    def fits(self) -> bool:
        return self.tokens <= self.budget_tokens


def split_turns(messages: Sequence[Message]) -> tuple[Turn, tuple[Turn, ...]]:
    """The system prompt (leading system messages) and the turns.

    A turn starts at a user message and holds everything up to the next one, so tool calls stay with their results.
    Anything said before the first user message belongs to the first turn.
    """
    first = next((i for i, message in enumerate(messages) if message.role != "system"), len(messages))
    turns: list[list[Message]] = []
    for message in messages[first:]:
        has_question = bool(turns) and any(earlier.role == "user" for earlier in turns[-1])
        if not turns or (message.role == "user" and has_question):
            turns.append([])
        turns[-1].append(message)
    return tuple(messages[:first]), tuple(tuple(turn) for turn in turns)


def fit(
    messages: Sequence[Message],
    turn_tokens: Sequence[int],
    *,
    system_tokens: int,
    budget_tokens: int,
    pins: Collection[int] = (),
    drops: Collection[int] = (),
    start: int = 0,
) -> Window:
    """Leave out whole turns, oldest first, until the conversation is within ``budget_tokens``.

    ``turn_tokens`` holds the size of each turn of ``split_turns(messages)``; ``system_tokens`` all that is sent
    besides turns. The system prompt, the turns numbered in ``pins`` and the last turn always stay; those in ``drops``
    never do. Raises ValueError when the sizes do not match the turns.
    """
    system, turns = split_turns(messages)
    if len(turn_tokens) != len(turns):
        raise ValueError(f"{len(turns)} turns need as many sizes, not {len(turn_tokens)}.")
    last = len(turns) - 1
    start = max(0, min(start, last))

    def kept_from(first: int) -> list[int]:
        return [i for i in range(len(turns)) if i == last or i in pins or (i >= first and i not in drops)]

    def size_from(first: int) -> int:
        return system_tokens + sum(turn_tokens[i] for i in kept_from(first))

    if size_from(start) > budget_tokens:
        needed = size_from(last)
        held = needed - sum(turn_tokens[-1:])
        target = max(held + (budget_tokens - held) * TRIM_TO, needed + (budget_tokens - needed) * HISTORY_SHARE)
        while start < last and size_from(start) > target:
            start += 1
    kept = kept_from(start)
    dropped = [i for i in range(len(turns)) if i not in set(kept)]
    return Window(
        kept=system + tuple(message for i in kept for message in turns[i]),
        dropped=tuple(message for i in dropped for message in turns[i]),
        kept_turns=tuple(kept),
        dropped_turns=tuple(dropped),
        start=start,
        tokens=size_from(start),
        budget_tokens=budget_tokens,
    )
