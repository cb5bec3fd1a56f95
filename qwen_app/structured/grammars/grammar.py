"""Constrained decoding: what may come next, as a bitmask over the vocabulary, from llguidance.

Taking the interpreter lock back after a call into llguidance can cost a thread switch interval: a process with other
busy threads should lower it (``sys.setswitchinterval(0.0005)``), and all rows of a batch should be filled in one call
(``fill_masks``).
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import cache
from itertools import takewhile

import numpy as np
from llguidance import LLExecutor, LLMatcher
from numpy.typing import NDArray

from qwen_app.errors import SchemaError
from qwen_app.structured.closing.completion_search import PATIENT, CompletionSearch, encode_completion
from qwen_app.structured.grammars.grammar_source import GrammarSource, parser_limits
from qwen_app.structured.json_text import StringTracker
from qwen_app.structured.vocabulary import Vocabulary

MASK_THREADS = 2
UNBOUNDED = 1 << 30
TOO_MANY_CHOICES = " items; max is "  # in what llguidance says of a place with more than ``parser_limits``
OPENED_BRACKETS = 16  # that one token can hold, beside what the schema forces


class GrammarState:
    """Where one answer stands in its grammar. Belongs to one request and is used by one thread at a time."""

    __slots__ = ("_matcher", "_vocabulary", "grammar", "token_ids")

    def __init__(self, grammar: Grammar, vocabulary: Vocabulary, matcher: LLMatcher, token_ids: list[int]) -> None:
        self.grammar = grammar
        self.token_ids = token_ids
        self._vocabulary = vocabulary
        self._matcher = matcher

    def accept(self, token_id: int) -> None:
        """Go on by one token. Raises SchemaError when the grammar does not allow it or outgrew its limits."""
        if not self._matcher.consume_token(token_id):
            raise SchemaError(self.error or f"Token {token_id} is not allowed here by the grammar.")
        self.token_ids.append(token_id)

    def forced_tokens(self) -> list[int]:
        """What must come next whatever the model says, as it would write it; none where it may choose."""
        return list(takewhile(lambda token_id: not self.grammar.ends(token_id), self._matcher.compute_ff_tokens()))

    @property
    def error(self) -> str:
        """Why this answer cannot go on; empty while it can. The mask of such a state allows only the end."""
        return f"The answer outgrew the limits of its grammar: {self._problem()}" if self._matcher.is_error() else ""

    def _problem(self) -> str:
        return str(self._matcher.get_error()).splitlines()[0]

    def is_done(self) -> bool:
        """Nothing but an end token may follow."""
        return bool(self._matcher.is_stopped())

    def may_end(self) -> bool:
        """The text so far is a whole answer, though more may follow."""
        return bool(self._matcher.is_accepting())

    def allows(self, token_id: int) -> bool:
        """The token may come next, as ``fill_masks`` says of all of them in three times the time. Not asked once it
        ``is_done``."""
        if forced := self._matcher.compute_ff_tokens():
            return bool(token_id == forced[0])  # of the same text, other tokens would be taken too
        return bool(self._matcher.validate_tokens([token_id]) == 1)

    def may_end_after(self, token_ids: Sequence[int]) -> bool:
        """``token_ids`` may come next, and the text is a whole answer then."""
        ended = [*token_ids, self.grammar.end_token]
        return bool(self._matcher.validate_tokens(ended) == len(ended))

    def text(self) -> bytes:
        """All that was accepted, end tokens left out. May end inside a character."""
        return self._vocabulary.decode(self.token_ids)

    def strings(self) -> StringTracker | None:
        """Whether the answer stands inside a JSON string; None for grammars that are not JSON."""
        return self.grammar.source.track_strings(self.text())

    def completion_bytes(self) -> bytes | None:
        """The shortest legal completion found from here; None when the search gave up."""
        text = self.text()
        return self.grammar.search.shortest(self._matcher, text, self.grammar.source.track_strings(text))

    def completion_tokens(self, guess: bytes | None = None) -> list[int]:
        """A short legal completion from here as token ids, end token left out; empty when the answer may end now.

        ``guess`` is taken where it is legal, which is much cheaper than a search: completions change little from token
        to token. Raises SchemaError when none was found in reasonable time.
        """
        if not self.token_ids:
            return list(self.grammar.minimal_ids)
        if self.may_end():
            return []
        if guess is not None and (guessed := self._whole_completion(guess)) is not None:
            return guessed
        completion = self.completion_bytes()
        token_ids = None if completion is None else encode_completion(self._matcher, self._vocabulary, completion)
        if token_ids is None:
            raise SchemaError("No legal ending of this answer was found in reasonable time. Use a simpler schema.")
        return token_ids

    def _whole_completion(self, completion: bytes) -> list[int] | None:
        token_ids = encode_completion(self._matcher, self._vocabulary, completion)
        matcher = self._matcher.deep_copy()
        return token_ids if token_ids and matcher.consume_tokens(token_ids) and matcher.is_accepting() else None

    def copy(self) -> GrammarState:
        return GrammarState(self.grammar, self._vocabulary, self._matcher.deep_copy(), list(self.token_ids))


class Grammar:
    """A compiled grammar, shared by all answers that use it.

    ``minimal_ids`` is the smallest whole answer as token ids. ``max_forced_tokens`` is about how much longer the
    shortest completion can become by one more token. Raises SchemaError when no whole answer is found.
    """

    def __init__(self, source: GrammarSource, vocabulary: Vocabulary) -> None:
        self.source = source
        self._vocabulary = vocabulary
        self._lock = threading.Lock()
        self._matcher = LLMatcher(vocabulary.ll, source.text, log_level=0, limits=parser_limits())
        self.search = CompletionSearch(vocabulary, source.string_completions, source.number_steps)
        self.minimal_ids = tuple(self._minimal_ids())
        self.max_forced_tokens = self._max_forced_tokens()

    @property
    def end_token(self) -> int:
        return min(self._vocabulary.eos_ids)

    def ends(self, token_id: int) -> bool:
        return token_id in self._vocabulary.eos_ids

    def text_of(self, token_ids: Sequence[int]) -> bytes:
        return self._vocabulary.decode(token_ids)

    def byte_token(self, byte: int) -> int:
        return self._vocabulary.byte_ids[byte]

    @property
    def minimum_tokens(self) -> int:
        """Tokens of the smallest whole answer, end token left out. A smaller budget cannot be kept."""
        return len(self.minimal_ids)

    def new_state(self) -> GrammarState:
        with self._lock:
            return GrammarState(self, self._vocabulary, self._matcher.deep_copy(), [])

    def _minimal_ids(self) -> list[int]:
        searched = self.search.shortest(self._matcher, b"", self.source.track_strings(b""), PATIENT)
        texts = [text for text in (searched, self.source.minimal_instance) if text is not None]
        encoded = [encode_completion(self._matcher, self._vocabulary, text) for text in texts]
        whole = [token_ids for token_ids in encoded if token_ids is not None and self._is_whole(token_ids)]
        if not whole:
            raise SchemaError(self._why_none(texts))
        return min(whole, key=len)

    def _why_none(self, tried: Sequence[bytes]) -> str:
        """Why none of the answers that were ``tried`` is taken, nor another was found."""
        for text in tried:
            matcher = self._matcher.deep_copy()
            matcher.consume_tokens([self.byte_token(text[0])])
            if TOO_MANY_CHOICES in matcher.get_error():
                return (
                    "Too much is allowed at one place of the answer, such as more than about 500 optional properties "
                    "of one object. Make some of them required, or put them into objects of their own."
                )
        return "No answer that satisfies this grammar was found. Use a simpler one."

    def _is_whole(self, token_ids: list[int]) -> bool:
        matcher = self._matcher.deep_copy()
        return bool(matcher.consume_tokens(token_ids) and matcher.is_accepting())

    def _max_forced_tokens(self) -> int:
        if self.source.max_forced_text is None:
            return UNBOUNDED
        return len(self._vocabulary.encode(self.source.max_forced_text)) + OPENED_BRACKETS


@cache
def _executor() -> LLExecutor:
    return LLExecutor(num_threads=MASK_THREADS)


def fill_masks(states: Sequence[GrammarState], rows: NDArray[np.int32]) -> None:
    """Fill ``rows[i]``, a token bitmask, with what ``states[i]`` allows next: bit ``k`` when token ``k`` may come.

    ``rows`` is C-contiguous int32 ``[len(states), ceil(vocab_size / 32)]``. One call for all rows.
    """
    if len(states) == 1:
        states[0]._matcher.unsafe_compute_mask_ptr(rows.ctypes.data, rows.shape[1] * 4)
    elif states:
        pairs = [(state._matcher, index) for index, state in enumerate(states)]
        _executor().unsafe_compute_mask_ptr(pairs, rows.ctypes.data, rows.shape[1] * 4, len(states))
