"""A token of an answer with its probability and what might have stood there, bounded so that it can be saved."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from qwen_app.messages import TokenLogprob

ALTERNATIVES = 4  # asked for with each token
LIMIT_TOKENS = 300  # of an answer: about 25 KB as JSON
LIMIT_CHARS = 40  # of a token's text


@dataclass(frozen=True, slots=True)
class ScoredToken:
    """Probabilities are before temperature and top-p. ``others`` are the likeliest tokens in this place."""

    text: str
    probability: float
    others: tuple[tuple[str, float], ...] = ()


def scored(tokens: tuple[ScoredToken, ...], more: Iterable[TokenLogprob]) -> tuple[ScoredToken, ...]:
    """``tokens`` and ``more``, the first LIMIT_TOKENS of them."""
    room = LIMIT_TOKENS - len(tokens)
    added = [_scored(token) for token in more][: max(0, room)]
    return (*tokens, *added) if added else tokens


def _scored(token: TokenLogprob) -> ScoredToken:
    others = tuple((other.text[:LIMIT_CHARS], _probability(other)) for other in token.top)
    return ScoredToken(token.text[:LIMIT_CHARS], _probability(token), others)


def _probability(token: TokenLogprob) -> float:
    """To four places. What is not a number, as some servers send, is none."""
    probability = math.exp(min(0.0, token.logprob)) if token.logprob == token.logprob else 0.0
    return round(probability, 4)
