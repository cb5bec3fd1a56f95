"""A model of random taste: takes any token the mask allows, with a liking for structure that a test sets."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qwen_app.structured.closer import Closer
from qwen_app.structured.grammar import Grammar, GrammarState, fill_masks
from qwen_app.structured.vocabulary import Vocabulary


@dataclass(frozen=True)
class Answer:
    text: bytes
    tokens: int
    closed: bool
    state: GrammarState


class RandomModel:
    """Draws from random logits. ``structure`` is added to those of short tokens, which is what JSON is built of."""

    def __init__(self, vocabulary: Vocabulary, seed: int, structure: float = 0.0) -> None:
        self._random = np.random.default_rng(seed)
        self._width = vocabulary.vocab_size
        self._likes = np.zeros(self._width, np.float32)
        self._likes[list(vocabulary.byte_ids.values())] = structure

    def next_token(self, state: GrammarState) -> int:
        row = np.zeros((1, (self._width + 31) // 32), np.int32)
        fill_masks([state], row)
        allowed = np.flatnonzero(np.unpackbits(row.view(np.uint8), bitorder="little"))
        assert allowed.size, "no token is allowed"
        logits = self._random.gumbel(size=allowed.size) + self._likes[allowed]
        return int(allowed[logits.argmax()])

    def write(self, grammar: Grammar, max_tokens: int, *, close_at: int | None = None) -> Answer:
        """An answer of at most ``max_tokens`` under a Closer, as the worker runs it."""
        state, closer = grammar.new_state(), Closer()
        for done in range(max_tokens):
            late = close_at is not None and done >= close_at
            token_id = closer.choose(state, self.next_token(state), max_tokens - done, close_now=late)
            if grammar.ends(token_id):
                return Answer(state.text(), done, closer.closing, state)
            state.accept(token_id)
            if state.is_done():
                return Answer(state.text(), done + 1, closer.closing, state)
        return Answer(state.text(), max_tokens, closer.closing, state)
