"""What is measured, and what was found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

CONTEXTS = (1024, 2048, 4096, 8192, 16_384, 32_768)  # tokens
USERS = (1, 2, 4, 8)
ANSWER_TOKENS = 64  # of each user, once all of them are being answered

RunEnd = Literal["done", "others", "failed"]


@dataclass(frozen=True, slots=True)
class Size:
    """So many users at once, each with a conversation of so many tokens, the answer's included."""

    context_tokens: int
    users: int


@dataclass(frozen=True, slots=True)
class Figure:
    """What was measured at one size. Times run from the moment a question was sent.

    ``first_token_s`` is the median of the users, ``slowest_s`` that of the last one served. Speeds are in tokens a
    second while all users were being answered, 0.0 where they never were all at once. ``reused_tokens`` were still
    known and not read: nearly none, or the time to the first token says little. ``held_bytes`` is what the model's
    process then held, 0 where unknown.
    """

    size: Size
    prompt_tokens: int
    first_token_s: float
    slowest_s: float
    total_tokens_per_s: float
    reused_tokens: int = 0
    held_bytes: int = 0

    @property
    def user_tokens_per_s(self) -> float:
        return self.total_tokens_per_s / self.size.users


@dataclass(frozen=True, slots=True)
class BenchRun:
    """A run so far. ``now`` is the size being measured, ``answered`` how many of its users have their first token.

    ``others``: somebody else asked something, and the run made way. ``problem`` says why it ``failed``.
    """

    sizes: tuple[Size, ...]
    figures: tuple[Figure, ...] = ()
    now: Size | None = None
    answered: int = 0
    end: RunEnd | None = None
    problem: str = ""


def sizes_that_fit(contexts: Sequence[int], users: Sequence[int], context_tokens: int, slots: int) -> tuple[Size, ...]:
    """Every pair that the engine has room for, the cheapest first."""
    return tuple(
        Size(context, many)
        for context in sorted(set(contexts))
        for many in sorted(set(users))
        if 0 < context <= context_tokens and 0 < many <= slots
    )
