"""A model of random taste: takes any token the mask allows, with a liking for structure that a test sets."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from qwen_app.structured.closing.budget_closer import BudgetCloser
from qwen_app.structured.grammars.grammar import Grammar, GrammarState, fill_masks
from qwen_app.structured.vocabulary import Vocabulary


@dataclass(frozen=True)
class Answer:
    text: bytes
    tokens: int
    closed: bool
    state: GrammarState


class RandomModel:
    """Draws from random logits. ``structure`` is added to those of one-byte tokens, which JSON is mostly built of.

    The highest of random logits is a uniform choice, so that is what is drawn, the likes and the rest apart.
    """

    def __init__(self, vocabulary: Vocabulary, seed: int, structure: float = 0.0) -> None:
        self._random = np.random.default_rng(seed)
        self._width = vocabulary.vocab_size
        self._liked = np.zeros(self._width, bool)
        self._liked[list(vocabulary.byte_ids.values())] = True
        self._weight = math.exp(structure)

    def next_token(self, state: GrammarState) -> int:
        row = np.zeros((1, (self._width + 31) // 32), np.int32)
        fill_masks([state], row)
        allowed = np.flatnonzero(np.unpackbits(row.view(np.uint8), bitorder="little"))
        assert allowed.size, "no token is allowed"
        liked = allowed[self._liked[allowed]]
        share = liked.size * self._weight / (liked.size * self._weight + allowed.size - liked.size)
        return int(self._random.choice(liked if self._random.random() < share else allowed))

    def write(self, grammar: Grammar, max_tokens: int, *, close_at: int | None = None) -> Answer:
        """An answer of at most ``max_tokens`` under a BudgetCloser, as the worker runs it."""
        state, closer = grammar.new_state(), BudgetCloser()
        for done in range(max_tokens):
            late = close_at is not None and done >= close_at
            token_id = closer.choose(state, self.next_token(state), max_tokens - done, close_now=late)
            if grammar.ends(token_id):
                return Answer(state.text(), done, closer.closing, state)
            state.accept(token_id)
            if state.is_done():
                return Answer(state.text(), done + 1, closer.closing, state)
        return Answer(state.text(), max_tokens, closer.closing, state)
